"""Examples → the text that the model sees, with the parts that it learns.

messages, tools ─ built-in or custom template ─▶ pieces (text, loss weight, control tokens)
"""
