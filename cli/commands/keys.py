"""`palaver keys`: the file of API keys."""

from api.keys import add_commands as add_arguments
from api.keys import run

__all__ = ["add_arguments", "run"]
