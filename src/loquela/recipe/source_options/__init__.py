"""Options that only one kind of source has: a file and a sub-section of the source's entry each."""
