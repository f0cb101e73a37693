"""What a prompt speaks of among the messages that have left the window."""
