"""Measuring an export against the model that it was made from."""
