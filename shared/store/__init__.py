"""Redis and nothing else: keys, scripts, connections, and what the scripts do."""
