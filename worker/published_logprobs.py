"""The probabilities of a reply's text, as they are published with it."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import orjson

from worker.engine.interface import DrawnLogprob, Part, TokenLogprob


def published_logprobs(parts: Sequence[Part], tokens: Sequence[DrawnLogprob]) -> list[str]:
    """For each part the JSON text of a list, as OpenAI shows it; empty if nobody wants any.

    Only text has some: tokens of thoughts, calls and markup are left out. What cannot be told apart
    stays with the text.

    Args:
        tokens: those that the parts were read from, and of what was held back before.
    """
    if not tokens:
        return [""] * len(parts)
    data = b"".join(token.drawn.token for token in tokens)
    borders = list(accumulate((len(token.drawn.token) for token in tokens), initial=0))
    published: list[str] = []
    left, has_call = len(tokens), False
    for part in reversed(parts):
        has_call = has_call or part.kind == "call"
        first, end = left, left
        if part.kind == "text" and part.text:
            # Thoughts stand in front of text, and calls behind it.
            find = data.find if has_call else data.rfind
            at = find(part.text.encode(), 0, borders[left])
            first, end = _tokens_at(at, at + len(part.text.encode()), borders[: left + 1])
            left = first
        published.insert(0, _encoded(tokens[first:end]))
    return published


def _tokens_at(start: int, stop: int, borders: Sequence[int]) -> tuple[int, int]:
    """The first token between two places, and the one behind the last; all if `start` is none."""
    places = [
        place
        for place, (begin, end) in enumerate(pairwise(borders))
        if begin < stop and end > start
    ]
    return (places[0], places[-1] + 1) if start >= 0 and places else (0, len(borders) - 1)


def _encoded(tokens: Sequence[DrawnLogprob]) -> str:
    if not tokens:
        return ""
    entries = [
        _logprob(token.drawn) | {"top_logprobs": list(map(_logprob, token.top))} for token in tokens
    ]
    return orjson.dumps(entries).decode()


def _logprob(token: TokenLogprob) -> dict[str, Any]:
    return {
        "token": token.token.decode("utf-8", "replace"),
        "logprob": token.logprob,
        "bytes": list(token.token),
    }
