"""tasks ─ perform here | in processes | on Slurm | on Ray ─▶ one folder a task, the same bytes whoever made it."""
