"""What a text says: its words, its language, its numbers and names; shared by data and evaluation."""
