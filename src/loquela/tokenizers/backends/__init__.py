"""One module per tokenizer method; each is a stranger to the others and is reached by name only."""
