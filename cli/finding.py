"""What a check of `palaver doctor` has found."""

from dataclasses import dataclass
from typing import Final, Literal

Verdict = Literal["ok", "note", "bad"]

_MARKS: Final = {"ok": "✓", "note": "·", "bad": "✗"}


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        verdict: `bad` keeps Palaver from running.
        subject: what was checked, in a word.
        text: what was found and, if it is bad, how to fix it.
    """

    verdict: Verdict
    subject: str
    text: str

    def __str__(self) -> str:
        return f"{_MARKS[self.verdict]} {self.subject:<9} {self.text}"
