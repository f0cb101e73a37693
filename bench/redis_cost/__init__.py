"""What Redis does for turns and workers, measured on a server of its own."""
