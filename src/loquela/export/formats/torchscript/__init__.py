"""TorchScript: a traced network with the cache as arguments and results, run by torch without our code."""
