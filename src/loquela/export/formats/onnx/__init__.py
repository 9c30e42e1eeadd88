"""ONNX: a graph of standard operators with the cache as inputs and outputs, run by ONNX Runtime."""
