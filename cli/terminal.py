"""Whether there is a terminal, and what shows replies there."""

import os
import sys

from cli.reply_writer import Screen


def is_capable() -> bool:
    """Whether a person looks at standard output, through something that draws."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def screen_for(shows_thoughts: bool | None) -> Screen:
    """Markdown where it can be drawn, plain text elsewhere.

    Args:
        shows_thoughts: None for where there is a terminal.
    """
    if not is_capable():
        return Screen(sys.stdout, shows_thoughts=shows_thoughts)
    from cli.markdown_screen import MarkdownScreen  # noqa: PLC0415 - rich takes longer than help

    return MarkdownScreen(sys.stdout, shows_thoughts=shows_thoughts)
