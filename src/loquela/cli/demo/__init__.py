"""`loquela demo`: a whole way from a document to a verified adapter, on any machine, without network or key."""
