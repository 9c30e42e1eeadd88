"""What the commands do when `--server` names a service: the same verbs, carried out there."""
