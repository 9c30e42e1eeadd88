"""Ways to compute logits: one module a library, loaded when a model needs it; none of them is needed by the others."""
