"""Writes a reply to a terminal as it is generated: thoughts dimmed, calls in one line."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TextIO

_DIM: Final = "\x1b[2m"
_PLAIN: Final = "\x1b[0m"
_LONGEST_LINE: Final = 200
"""Characters of a call or a result that are shown."""


class ReplyView(Protocol):
    """Shows one reply, part by part."""

    def reasoning(self, text: str) -> None:
        """A piece of a thought."""

    def text(self, text: str) -> None:
        """A piece of the answer."""

    def call(self, call: Mapping[str, Any]) -> None:
        """A call of a tool, which is not run."""

    def finish(self) -> None:
        """Everything is shown, and the terminal is as it was; more may come nevertheless."""


class Screen:
    """Text for a terminal. What others wrote cannot control it.

    Args:
        shows_thoughts: None for whether it is a terminal.
    """

    def __init__(self, out: TextIO, *, shows_thoughts: bool | None = None) -> None:
        self._out = out
        is_terminal = out.isatty()
        self._has_styles = is_terminal and not os.environ.get("NO_COLOR")
        self.shows_thoughts = is_terminal if shows_thoughts is None else shows_thoughts

    def new_reply(self, shown: "ShownReply") -> ReplyView:
        """What shows the next reply."""
        return ReplyWriter(self, shown)

    def write(self, text: str) -> None:
        """Without escape sequences: replies are untrusted."""
        self._put(harmless(text))

    def dim(self) -> None:
        """What comes is a thought."""
        self._put(_DIM if self._has_styles else "(thinking) ")

    def undim(self) -> None:
        self._put(_PLAIN if self._has_styles else "")

    def _put(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownReply:
    """What a terminal shows of a reply that is continued."""

    text: str = ""
    reasoning: str = ""


NOTHING_SHOWN: Final = ShownReply()


def harmless(text: str) -> str:
    """Without anything that a terminal would obey."""
    return "".join(c for c in text if c.isprintable() or c in "\n\t")


class ReplyWriter:
    """One reply as plain text.

    Args:
        shown: what comes first again, and is passed over.
    """

    def __init__(self, screen: Screen, shown: ShownReply = NOTHING_SHOWN) -> None:
        self._screen = screen
        self._shown_text, self._shown_reasoning = shown.text, shown.reasoning
        self._is_thinking = False
        self._is_in_line = False

    def reasoning(self, text: str) -> None:
        new, self._shown_reasoning = _behind(self._shown_reasoning, text)
        if not self._screen.shows_thoughts or not new:
            return
        if not self._is_thinking:
            self._new_line()
            self._screen.dim()
            self._is_thinking = True
        self._screen.write(new)

    def text(self, text: str) -> None:
        self._end_thought()
        new, self._shown_text = _behind(self._shown_text, text)
        if new:
            self._show_answer(new)

    def call(self, call: Mapping[str, Any]) -> None:
        self.finish()
        self._new_line()
        self._screen.write(f"{call_line(call)}\n")

    def finish(self) -> None:
        self._end_thought()

    def _show_answer(self, new: str) -> None:
        self._screen.write(new)
        self._is_in_line = not new.endswith("\n")

    def _end_thought(self) -> None:
        """Leave the style of thoughts, whatever comes next."""
        if self._is_thinking:
            self._is_thinking = False
            self._screen.undim()
            self._screen.write("\n\n")

    def _new_line(self) -> None:
        if self._is_in_line:
            self._screen.write("\n")
        self._is_in_line = False


def is_cut(reply: Mapping[str, Any]) -> bool:
    """Whether a reply can be continued, a stored one or a result."""
    return reply.get("finish_reason") in ("length", "stopped")


def cut_reply(messages: Sequence[Mapping[str, Any]]) -> ShownReply | None:
    """The last message, if it is a reply that can be continued."""
    if not messages or not is_cut(messages[-1]):
        return None
    last = messages[-1]
    return ShownReply(text=last["content"], reasoning=last.get("reasoning", ""))


def _behind(shown: str, text: str) -> tuple[str, str]:
    """What of a text is new, and what is still to come of what is shown."""
    if shown.startswith(text):
        return "", shown.removeprefix(text)
    return text.removeprefix(shown), ""


def call_line(call: Mapping[str, Any]) -> str:
    """A call of a tool in one line."""
    return f"(calls {_line(call['name'])} with {_line(call['arguments'])})"


def message_lines(message: Mapping[str, Any]) -> list[str]:
    """A stored message without its thoughts."""
    calls: Sequence[Mapping[str, Any]] = message.get("tool_calls") or ()
    content: str = message["content"]
    match message["role"]:
        case "user":
            lines = [f"> {content}"]
        case "tool":
            lines = [f"({_line(message.get('name') or 'a tool')} gave {_line(content)})"]
        case _:
            lines = [content] if content or not calls else []
    return lines + [call_line(call) for call in calls]


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_LINE else f"{line[: _LONGEST_LINE - 1]}…"
