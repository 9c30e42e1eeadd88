"""The training itself: rows of a base's tokens, batches, the loss of learnt tokens, an adapter; resumed to the bit."""
