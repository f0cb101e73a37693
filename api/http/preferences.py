"""How a client wants its answer: `Prefer` (RFC 7240) and `Accept`."""

import re
from dataclasses import dataclass
from typing import Final, Self

import falcon
import falcon.asgi
from falcon import mediatypes

_MOST_RANGES: Final = 32
"""More than any client names; falcon keeps those that it has parsed."""
_LONGEST_RANGE: Final = 100
_WAIT = re.compile(r"wait\s*=\s*(\d{1,9})", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
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
    """Whether the client would rather have server-sent events than JSON."""
    return prefers(req, "text/event-stream")


def prefers(req: falcon.asgi.Request, media_type: str) -> bool:
    """Whether this type suits better than JSON, or as well and is asked for by name."""
    ranges = _ranges(req)
    wanted, json = (_quality(kind, ranges) for kind in (media_type, falcon.MEDIA_JSON))
    is_named = any(one.partition(";")[0].strip() == media_type for one in ranges)
    return wanted > 0 and (wanted > json or (wanted == json and is_named))


def accepts(req: falcon.asgi.Request, media_type: str) -> bool:
    """Whether the client takes an answer of this type."""
    return _quality(media_type, _ranges(req)) > 0


def _ranges(req: falcon.asgi.Request) -> list[str]:
    ranges = req.accept.lower().split(",", _MOST_RANGES)[:_MOST_RANGES]
    return [one.strip() for one in ranges if one.strip() and len(one) <= _LONGEST_RANGE]


def _quality(media_type: str, ranges: list[str]) -> float:
    """As RFC 9110 has it: the most specific range counts; what is none is passed over."""
    valid = [one for one in ranges if _is_valid(one)]
    return mediatypes.quality(media_type, ",".join(valid)) if valid else 0.0


def _is_valid(media_range: str) -> bool:
    try:
        mediatypes.quality(falcon.MEDIA_JSON, media_range)
    except falcon.InvalidMediaRange:
        return False
    return True
