"""Loquela's readers for LangChain, and LangChain's loaders for Loquela."""
