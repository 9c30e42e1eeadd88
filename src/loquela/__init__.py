"""Loquela trains, fine-tunes and ships language models. Proven, or it stops."""

__version__ = "0.1.0"
