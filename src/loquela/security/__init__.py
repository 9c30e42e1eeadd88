"""Paths, addresses and archives from outside, checked before they are used."""
