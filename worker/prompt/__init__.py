"""From messages to tokens: the window and the prompt built in it."""
