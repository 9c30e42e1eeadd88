"""Where the processes of a round of tasks come from."""
