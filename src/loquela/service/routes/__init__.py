"""One file a resource; a route asks parts and returns a schema."""
