"""The plot schemas: each file has one way a story can go, its outline and the wording of its events."""
