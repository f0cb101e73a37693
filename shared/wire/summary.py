"""What a model, or a person, has written down of the turns that have left a window."""

from dataclasses import dataclass
from typing import Any, Final

import orjson


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A summary.

    Args:
        number: it stands for all messages below this number.
        turns: how many turns with a reply these are.
        text: may be empty, if nothing worth keeping was said.
        model: that wrote it; empty if a person did.
        made_ms: since the epoch.
    """

    number: int
    text: str
    turns: int = 0
    model: str = ""
    made_ms: int = 0

    @property
    def is_corrected(self) -> bool:
        """Whether a person has written it."""
        return not self.model

    def encode(self) -> bytes:
        """What is opaque to the scripts: one line of JSON."""
        return orjson.dumps({"x": self.text, "m": self.model, "t": self.made_ms})

    @classmethod
    def decode(cls, line: str) -> "Summary | None":
        """From the line that is stored (lua/lib/summaries.lua).

        None if that is empty, or if another version has written what this one cannot read: a turn
        does without it.
        """
        if not line:
            return None
        try:
            number, turns, _job, text = line.split(" ", 3)
            fields: dict[str, Any] = orjson.loads(text)
            return cls(
                number=int(number),
                turns=int(turns),
                text=str(fields["x"]),
                model=str(fields.get("m", "")),
                made_ms=int(fields.get("t", 0)),
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return None


LONGEST_SUMMARY: Final = 20_000
"""Characters of a summary that a person writes. How much of it models see is bounded in tokens."""
