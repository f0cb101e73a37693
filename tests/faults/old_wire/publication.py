"""Pieces of replies, as workers publish them."""

from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceRecord:
    """A piece of a reply with the ids of its tokens."""

    text: str
    token_ids: tuple[int, ...]

    def arguments(self) -> dict[str, Any]:
        """As the scripts `publish` and `commit` take it."""
        return {
            "piece": orjson.dumps({"text": self.text}),
            "ids": ",".join(map(str, self.token_ids)),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """A piece to be published under a turn's fence.

    Args:
        at: number of the reply's token ids that were published before it.
        evaluated: tokens of the prompt that were in no cache.
        prompt_tokens: tokens of the prompt.
    """

    job_id: str
    fence: str
    at: int
    piece: PieceRecord
    evaluated: int = 0
    prompt_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedReply:
    """What earlier starts of a turn have published.

    `models` are the fingerprints of the models that generated it; the token ids mean nothing
    unless all are the same.
    """

    piece: PieceRecord
    models: frozenset[str]
