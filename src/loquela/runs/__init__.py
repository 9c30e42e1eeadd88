"""Who asked for what, what happened, what came out: execute, status, manifest, lock, predict."""
