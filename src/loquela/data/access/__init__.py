"""Where text lies and how it is reached: the contract of a source, its registry, downloads, the connector."""
