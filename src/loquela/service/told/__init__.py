"""What the service writes into its two log streams: requests, events of jobs and runs, text of models."""
