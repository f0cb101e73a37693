"""How a model writes calls: the interface of all syntaxes."""

import json
from dataclasses import dataclass
from typing import Protocol

from shared.wire.parts import ToolCall
from worker.engine.interface import Grammar
from worker.reading.tools import CallRules


@dataclass(frozen=True, slots=True)
class Written:
    """Calls that are whole.

    Args:
        length: of the text that they take.
        before_failed: whether another one had begun behind them and turned out to be none.
    """

    calls: tuple[ToolCall, ...]
    length: int
    before_failed: bool = False


class CallParser(Protocol):
    """Reads what follows the markup that begins calls."""

    def read(self, text: str, *, is_whole: bool) -> Written | None:
        """Calls at the beginning of a text that has grown since the last time; None if incomplete.

        Args:
            is_whole: whether nothing will follow.

        Raises:
            NoCall: it is none.
        """
        ...

    def forced(self, text: str) -> str:
        """What has to follow a text that was forced or constrained so far; empty if nothing has."""
        ...

    def grammar(self, text: str) -> Grammar | None:
        """What has to be followed behind a text; the same object as long as it holds."""
        ...


class NoCall(Exception):
    """What seemed to become a call is text."""


class CallSyntax(Protocol):
    """One model's way to write calls."""

    @property
    def begins(self) -> tuple[str, ...]:
        """Markup that begins calls, blanks at its ends left out; empty if they begin a reply."""
        ...

    @property
    def opening(self) -> str:
        """The markup as the template writes it, up to where `CallParser` reads."""
        ...

    def parser(self, rules: CallRules, first_index: int) -> CallParser:
        """A parser of calls that begin here; `first_index` is the place of the first one."""
        ...

    def describe(self) -> str:
        """A few words for a person."""
        ...


def or_a_call(answer: Grammar | None, syntax: CallSyntax | None) -> Grammar | None:
    """What has to be followed where the model may call a tool instead of answering."""
    if answer is None or syntax is None or not syntax.begins:
        return answer
    calls = " | ".join(json.dumps(mark) for mark in syntax.begins)
    return Grammar("lark", f"start: {calls} | answer\nanswer: %json {answer.text}")
