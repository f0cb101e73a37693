"""How a client wants its answer: `Prefer` (RFC 7240) and `Accept`."""

import re
from dataclasses import dataclass
from typing import Self

import falcon.asgi

_WAIT = re.compile(r"wait\s*=\s*(\d{1,9})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Preference:
    """What `Prefer` says, as far as we follow it; `wait_s` None if it does not say."""

    respond_async: bool
    wait_s: int | None

    @classmethod
    def of(cls, req: falcon.asgi.Request) -> Self:
        """Read the header; preferences that we do not know are ignored."""
        said = [part.strip() for part in re.split("[,;]", req.get_header("Prefer") or "")]
        waits = [match for part in said if (match := _WAIT.fullmatch(part)) is not None]
        return cls(
            respond_async=any(part.lower() == "respond-async" for part in said),
            wait_s=int(waits[0][1]) if waits else None,
        )

    def limited(self, longest_s: float) -> float | None:
        """The seconds to wait, at most `longest_s`."""
        return None if self.wait_s is None else min(float(self.wait_s), longest_s)

    def applied(self, longest_s: float) -> str | None:
        """`Preference-Applied`, if anything was said that we followed."""
        wait_s = self.limited(longest_s)
        parts = ["respond-async"] if self.respond_async else []
        if wait_s is not None:
            parts.append(f"wait={wait_s:g}")
        return ", ".join(parts) or None


def wants_events(req: falcon.asgi.Request) -> bool:
    """Whether the client asks for server-sent events by name."""
    return "text/event-stream" in (req.get_header("Accept") or "").lower()
