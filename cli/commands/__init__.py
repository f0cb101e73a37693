"""A file for each command: its arguments, and what it loads once it runs."""
