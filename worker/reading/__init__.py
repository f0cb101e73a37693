"""From what a model writes to the parts of a reply."""
