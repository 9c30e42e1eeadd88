"""An adapter and its base made one model, measured against the two before it is published."""
