"""GGUF, the file of llama.cpp and everything built on it: which networks and tokenizers it can hold, and writing it."""
