"""What control tokens look like when they are written out as text."""

from __future__ import annotations

# What the common families of models use: <|…|>, Llama 2's, Gemma's, and our own tokenizers' names.
FAMILIAR = r"<\|[A-Za-z0-9_./-]{1,40}\|>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|<(?:pad|unk|bos|eos)>"
