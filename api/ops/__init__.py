"""What all workers did during the last minutes, for the operations page."""
