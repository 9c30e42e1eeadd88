"""Errors, registries, atomic files, digests: what every other package may use and that uses none of them."""
