"""Processes: supervision, start-up, the embedded server, background tasks, logs."""
