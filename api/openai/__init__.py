"""OpenAI's API over the same queue, engine and conversations."""
