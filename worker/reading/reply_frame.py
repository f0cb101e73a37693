"""Markup of replies that belongs neither to thoughts nor to calls."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from worker.reading.markup import HOLE


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyFrame:
    """What some models write around answers and calls, as `<|open|>response<|sep|>`.

    Args:
        marks: all such markup, blanks at its ends left out: it is never text.
        answer, call: what stands in front of these where a reply begins with them.
        answer_behind_thought, call_behind_thought: what stands between a thought and these.
        header: names the tool in front of a call, with `HOLE` in place of the name.
    """

    marks: tuple[str, ...] = ()
    answer: str = ""
    call: str = ""
    answer_behind_thought: str = ""
    call_behind_thought: str = ""
    header: str = ""

    def before_answer(self, opening: str) -> str:
        """What has to stand in front of an answer without a thought.

        Args:
            opening: the end of the prompt, which may have it.
        """
        return "" if self.answer in opening else self.answer

    def marks_with(self, tools: Iterable[str]) -> tuple[str, ...]:
        """The marks, and the headers of calls of these tools."""
        headers = (self.header.replace(HOLE, name).strip() for name in tools)
        return (*self.marks, *(header for header in headers if header))

    def unframed(self, text: str, tools: Iterable[str] = ()) -> str:
        """A text without such markup."""
        unframed = text
        for mark in sorted(self.marks_with(tools), key=len, reverse=True):
            unframed = unframed.replace(mark, "")
        return text if unframed == text else unframed.lstrip()


NO_FRAME: Final = ReplyFrame()
