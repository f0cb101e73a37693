"""Pieces of replies, as workers publish them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from shared.wire.parts import EVENT_OF_PART, PartKind
from shared.wire.write_outcome import WriteOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceRecord:
    """A piece of a reply with the ids of its tokens.

    Args:
        text: of a call, its JSON (`ToolCall.encode`).
        token_ids: all tokens since the piece before, those of markup included.
        logprobs: of the tokens, as the JSON text of a list; empty if nobody wants them.
    """

    text: str
    token_ids: tuple[int, ...]
    kind: PartKind = "text"
    logprobs: str = ""

    def event_data(self) -> bytes:
        """The data of the event that publishes it."""
        if self.kind == "call":
            return self.text.encode()
        data: dict[str, Any] = {"text": self.text}
        if self.logprobs:
            data["logprobs"] = orjson.Fragment(self.logprobs)
        return orjson.dumps(data)

    @classmethod
    def from_event(cls, kind: PartKind, data: str, token_ids: tuple[int, ...]) -> "PieceRecord":
        """Read a logged event."""
        if kind == "call":
            return cls(kind=kind, text=data, token_ids=token_ids)
        fields = orjson.loads(data)
        logprobs = orjson.dumps(fields["logprobs"]).decode() if "logprobs" in fields else ""
        return cls(kind=kind, text=fields["text"], token_ids=token_ids, logprobs=logprobs)


def arguments_of(
    pieces: Sequence[PieceRecord], suffix: str = "", log_ids: Sequence[str] = ()
) -> dict[str, Any]:
    """Pieces as the scripts `publish` and `commit` take them; `suffix` ends all names."""
    arguments: dict[str, Any] = {f"pieces{suffix}": len(pieces)}
    for number, piece in enumerate(pieces, start=1):
        arguments |= {
            f"event{suffix}.{number}": EVENT_OF_PART[piece.kind],
            f"piece{suffix}.{number}": piece.event_data(),
            f"ids{suffix}.{number}": ",".join(map(str, piece.token_ids)),
        }
    for number, log_id in enumerate(log_ids, start=1):
        arguments[f"entry{suffix}.{number}"] = log_id
    return arguments


def merged(pieces: Iterable[PieceRecord]) -> tuple[PieceRecord, ...]:
    """Neighbours of one kind as one piece; calls stay apart.

    Ids without a text, such as those of markup, belong to what comes next, at the end to what came
    before.
    """
    groups: list[list[PieceRecord]] = []
    for piece in pieces:
        last = groups[-1] if groups else None
        if last is not None and _belong_together(last, piece):
            last.append(piece)
        else:
            groups.append([piece])
    return tuple(map(_joined, groups))


def _belong_together(group: Sequence[PieceRecord], piece: PieceRecord) -> bool:
    kinds = {one.kind for one in group if one.text}
    if not piece.text or not kinds:
        return True
    return kinds == {piece.kind} and piece.kind != "call"


def _joined(pieces: Sequence[PieceRecord]) -> PieceRecord:
    lists = [orjson.loads(piece.logprobs) for piece in pieces if piece.logprobs]
    return PieceRecord(
        kind=next((piece.kind for piece in pieces if piece.text), pieces[0].kind),
        text="".join(piece.text for piece in pieces),
        token_ids=tuple(token for piece in pieces for token in piece.token_ids),
        logprobs=orjson.dumps([entry for each in lists for entry in each]).decode()
        if lists
        else "",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """Pieces to be published under a turn's fence.

    Args:
        at: number of the reply's token ids that were published before them.
        log_ids: of the log's entries for these pieces, if they were published before and are lost;
            who has read them there should not read them again.
        evaluated: tokens of the prompt that were in no cache.
        prompt_tokens: tokens of the prompt.
    """

    job_id: str
    fence: str
    at: int
    pieces: tuple[PieceRecord, ...]
    log_ids: tuple[str, ...] = ()
    evaluated: int = 0
    prompt_tokens: int = 0

    @property
    def num_ids(self) -> int:
        """Token ids of all pieces."""
        return sum(len(piece.token_ids) for piece in self.pieces)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of a publication.

    Args:
        is_followed: whether somebody follows the job live.
        log_ids: of the log's new entries.
        progress: how many of the reply's token ids are published; if less is than was.
    """

    outcome: WriteOutcome
    is_followed: bool = False
    log_ids: tuple[str, ...] = ()
    progress: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedReply:
    """What earlier starts of a turn have published.

    Args:
        models: fingerprints of the models that generated it; the token ids mean nothing unless all
            are the same.
        can_continue: whether anything may follow.
    """

    pieces: tuple[PieceRecord, ...]
    models: frozenset[str]
    can_continue: bool = True

    @property
    def token_ids(self) -> tuple[int, ...]:
        """The ids of all pieces."""
        return tuple(token for piece in self.pieces for token in piece.token_ids)
