"""What becomes of a conversation's turns when they leave the window."""

from typing import Literal

RecallScope = Literal["own", "all"]
"""Where a prompt is looked for: out of view in its own conversation, if that remembers; or there
and in its owner's other conversations."""

MemoryMode = Literal["fifo", "summary"]
"""`fifo`: the model does not see them any more. `summary`: what was
said in them is summarised, and a prompt that speaks of them brings them back, as quotes."""
