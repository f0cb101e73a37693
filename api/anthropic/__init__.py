"""Anthropic's messages API: a translation over the same turns as everything else."""
