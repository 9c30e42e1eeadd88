"""Looking at what was prepared: report, preview, a token's way back."""
