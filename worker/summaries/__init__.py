"""Summaries of what has left conversations' windows, made when there is nothing else to do."""
