"""Reworded copies of questions, by rules that know grammar; whatever could change the meaning is thrown away, counted.

instruction ─ frames, dictionary, surface ─ guard (numbers, names, negation, copies, drift) ─▶ variants
"""
