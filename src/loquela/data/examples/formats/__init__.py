"""Rows of the formats that people use → examples; what was recognised is shown, what is unclear is asked."""
