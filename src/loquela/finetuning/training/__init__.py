"""The training itself: rows of a base's tokens, batches, loss on learnt tokens alone, an adapter; resumable to the bit."""
