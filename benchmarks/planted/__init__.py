"""Faults of the kind "it ran, the loss went down, the result is wrong", each planted in Loquela and in plain TRL."""
