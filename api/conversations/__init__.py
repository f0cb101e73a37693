"""Palaver's own routes: prompts, jobs and conversations."""
