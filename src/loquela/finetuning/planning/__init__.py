"""What a fine-tuning will take: base's shape + recipe → memory by part, tokens, minutes, price; and what fits."""
