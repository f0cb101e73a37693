"""What of long conversations the model still sees: `python -m bench.remember`."""
