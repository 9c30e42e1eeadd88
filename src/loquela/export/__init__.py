"""Trained models in the formats that other programs run, each measured against the model it was made from."""
