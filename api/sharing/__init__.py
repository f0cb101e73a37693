"""Read-only links to conversations."""
