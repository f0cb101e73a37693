"""Replies as Markdown, set while they are written. Loaded only where there is a terminal.

What is done is printed for good, block by block; only the last block is drawn anew with each piece.
So a long reply costs no more than a short one, and scrolling back shows each line once.
"""

import sys
from typing import Final, TextIO

from markdown_it import MarkdownIt
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.markdown import Markdown
from rich.segment import Segment

from cli.reply_writer import ReplyView, ReplyWriter, Screen, ShownReply, harmless

_PARSER: Final = MarkdownIt().enable(["table", "strikethrough"])
"""Knows the blocks that rich's Markdown knows."""


class MarkdownScreen(Screen):
    """A terminal that shows replies as Markdown."""

    def __init__(self, out: TextIO = sys.stdout, *, shows_thoughts: bool | None = None) -> None:
        super().__init__(out, shows_thoughts=shows_thoughts)
        self._console = Console(file=out, highlight=False)

    def new_reply(self, shown: ShownReply) -> ReplyView:
        return MarkdownWriter(self, self._console, shown)


class MarkdownWriter(ReplyWriter):
    """One reply: thoughts and calls as plain text, the answer as Markdown."""

    def __init__(self, screen: Screen, console: Console, shown: ShownReply) -> None:
        super().__init__(screen, shown)
        self._console = console
        self._source = ""
        self._live: Live | None = None

    def _show_answer(self, new: str) -> None:
        done, self._source = split_before_last_block(self._source + harmless(new))
        live = self._shown_live()
        if done:
            live.console.print(_Harmless(_markdown(done)))
            live.console.print()
        live.update(_Harmless(_markdown(self._source), is_tail=True), refresh=True)

    def finish(self) -> None:
        super().finish()
        if self._live is not None:
            self._live.stop()
            self._console.print(_Harmless(_markdown(self._source)))
            self._live, self._source = None, ""

    def _shown_live(self) -> Live:
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        return self._live


class _Harmless:
    """Rendered text that a terminal cannot obey, even where Markdown spells characters by number.

    Args:
        is_tail: shows only as many of the last lines as the terminal has.
    """

    def __init__(self, content: RenderableType, *, is_tail: bool = False) -> None:
        self._content = content
        self._is_tail = is_tail

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = [_cleaned(line) for line in console.render_lines(self._content, options, pad=False)]
        while lines and not lines[0]:  # some blocks begin with an empty line
            del lines[0]
        for line in lines[-(options.size.height - 1) :] if self._is_tail else lines:
            yield from line
            yield Segment.line()


def _cleaned(line: list[Segment]) -> list[Segment]:
    """A line without spaces at its end that nobody sees, and that would be copied with it."""
    cleaned = [Segment(harmless(segment.text), segment.style) for segment in line]
    while cleaned and not (cleaned[-1].style and cleaned[-1].style.bgcolor):
        text = cleaned[-1].text.rstrip()
        if text:
            cleaned[-1] = Segment(text, cleaned[-1].style)
            break
        cleaned.pop()
    return cleaned


def _markdown(source: str) -> Markdown:
    """Links show where they lead: what a terminal hides behind a word cannot be checked."""
    return Markdown(source, hyperlinks=False)


def split_before_last_block(source: str) -> tuple[str, str]:
    """A text's finished blocks, and the last one, which may grow."""
    blocks = [t.map[0] for t in _PARSER.parse(source) if t.level == 0 and t.map is not None]
    if len(blocks) < 2:
        return "", source
    lines = source.splitlines(keepends=True)
    return "".join(lines[: blocks[-1]]), "".join(lines[blocks[-1] :])
