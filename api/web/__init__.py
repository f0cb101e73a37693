"""The pages that a browser gets: the chat at `/` and the operations page at `/ops`."""
