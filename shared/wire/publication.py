"""Pieces of a reply on their way to its readers."""

from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceRecord:
    """A piece of a reply with the ids of its tokens."""

    text: str
    token_ids: tuple[int, ...]

    def arguments(self) -> dict[str, Any]:
        return {
            "piece": orjson.dumps({"text": self.text}),
            "ids": ",".join(map(str, self.token_ids)),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """A piece to be emitted under a turn's token; `at` counts the token ids emitted before it.

    `evaluated` of the prompt's tokens were not in a cache.
    """

    job_id: str
    fence: str
    at: int
    piece: PieceRecord
    evaluated: int = 0
    prompt_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedReply:
    """What earlier starts of a turn have emitted.

    `models` are the fingerprints under which: the ids of more than one say nothing.
    """

    piece: PieceRecord
    models: frozenset[str]
