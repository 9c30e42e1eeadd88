"""Configurations of other fine-tuning programs as recipes: every key is translated, or listed with the reason."""
