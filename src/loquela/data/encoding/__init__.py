"""Which encoding a text is in, what is wrong with it, and how that is mended: evidence first, every change reported."""
