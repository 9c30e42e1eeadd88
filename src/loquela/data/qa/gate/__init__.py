"""What a pair must hold before it is kept: checks without a model first, each with its own reason."""
