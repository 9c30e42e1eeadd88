"""What happens, told once: events → listeners (event log, progress display, metrics, logs)."""
