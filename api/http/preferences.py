"""How a client wants its response: `Prefer` (RFC 7240) and `Accept`."""

import re
from dataclasses import dataclass
from typing import Final, Self

import falcon
import falcon.asgi
from falcon import mediatypes

_MAX_RANGES: Final = 32
"""More than any client sends; falcon caches those that it has parsed."""
_MAX_RANGE_LENGTH: Final = 100
_WAIT = re.compile(r"wait\s*=\s*(\d{1,9})", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """The part of `Prefer` that we follow.

    Args:
        wait_s: None if the client does not say how long it wants to wait.
    """

    respond_async: bool
    wait_s: int | None

    @classmethod
    def of(cls, req: falcon.asgi.Request) -> Self:
        """Read the header; unknown preferences are ignored."""
        preferences = [part.strip() for part in re.split("[,;]", req.get_header("Prefer") or "")]
        waits = [match for part in preferences if (match := _WAIT.fullmatch(part)) is not None]
        return cls(
            respond_async=any(part.lower() == "respond-async" for part in preferences),
            wait_s=int(waits[0][1]) if waits else None,
        )

    def limited(self, longest_s: float) -> float | None:
        """The seconds to wait, at most `longest_s`."""
        return None if self.wait_s is None else min(float(self.wait_s), longest_s)

    def applied(self, longest_s: float) -> str | None:
        """The `Preference-Applied` header; None if nothing was applied."""
        wait_s = self.limited(longest_s)
        parts = ["respond-async"] if self.respond_async else []
        if wait_s is not None:
            parts.append(f"wait={wait_s:g}")
        return ", ".join(parts) or None


def wants_events(req: falcon.asgi.Request) -> bool:
    """Whether the client would rather have server-sent events than JSON."""
    return prefers(req, "text/event-stream")


def wants_html(req: falcon.asgi.Request) -> bool:
    """Whether the client would rather have HTML than JSON, as browsers would and programs not."""
    return prefers(req, "text/html")


def prefers(req: falcon.asgi.Request, media_type: str) -> bool:
    """Whether this type is preferred to JSON, or equally welcome and named."""
    ranges = _ranges(req)
    quality, json = (_quality(kind, ranges) for kind in (media_type, falcon.MEDIA_JSON))
    is_named = any(range_.partition(";")[0].strip() == media_type for range_ in ranges)
    return quality > 0 and (quality > json or (quality == json and is_named))


def accepts(req: falcon.asgi.Request, media_type: str) -> bool:
    """Whether the client accepts a response of this type."""
    return _quality(media_type, _ranges(req)) > 0


def _ranges(req: falcon.asgi.Request) -> list[str]:
    ranges = req.accept.lower().split(",", _MAX_RANGES)[:_MAX_RANGES]
    return [
        range_.strip() for range_ in ranges if range_.strip() and len(range_) <= _MAX_RANGE_LENGTH
    ]


def _quality(media_type: str, ranges: list[str]) -> float:
    """The quality by RFC 9110: the most specific range counts; malformed ones are ignored."""
    valid = [range_ for range_ in ranges if _is_valid(range_)]
    return mediatypes.quality(media_type, ",".join(valid)) if valid else 0.0


def _is_valid(media_range: str) -> bool:
    try:
        mediatypes.quality(falcon.MEDIA_JSON, media_range)
    except falcon.InvalidMediaRange:
        return False
    return True
