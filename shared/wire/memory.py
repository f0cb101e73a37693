"""What becomes of a conversation's turns when they leave the window."""

from typing import Literal

MemoryMode = Literal["fifo", "summary"]
"""`fifo`: the model does not see them any more. `summary`: what was
said in them is summarised, and a prompt that speaks of them brings them back, as quotes."""
