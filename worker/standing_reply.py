"""What stands of a reply that a turn continues, as if an earlier start of the turn had written it.

Where the model wrote it itself, its reader reads the stored tokens again: what it had held back at
the end, half a call or half a character, is read as a whole then. Otherwise the model is shown
thought and text in its own markup, as with a reply that another model has begun.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from shared.wire.continuing import StandingReply
from shared.wire.messages import StoredMessage
from shared.wire.publication import PieceRecord, PublishedReply
from worker.engine.interface import Engine, Part, PartKind, Piece, ReplyReader
from worker.prompt.prompt import Prompt
from worker.reading.begun import BegunReply
from worker.taking_over import PublishedBefore, in_own_ids, joined

_Part = tuple[PartKind, str]
_HALF_CHARACTER: Final = "\ufffd"


def written_ids(engine: Engine, standing: StandingReply) -> tuple[int, ...]:
    """All that this model wrote of the reply; empty if that is not known."""
    message = standing.message
    is_own = message.fingerprint == engine.model.fingerprint
    return message.written_ids or () if is_own else ()


def as_written(
    engine: Engine, reader: ReplyReader, message: StoredMessage, token_ids: tuple[int, ...]
) -> PublishedBefore | None:
    """The reply in the ids that this model wrote; None if they are read otherwise, or unknown."""
    if not token_ids:
        return None
    written = engine.detokenize(token_ids, controls=True)
    if not message.content.endswith(_HALF_CHARACTER):
        written = written.rstrip(_HALF_CHARACTER)
    parts = joined((part.kind, part.text) for part in reader.push(written))
    if not _begins_with(joined((one.kind, one.text) for one in pieces_of(message)), parts):
        return None
    pieces = tuple(PieceRecord(kind=kind, text=text, token_ids=()) for kind, text in parts)
    return _published(pieces, token_ids)


def in_own_markup(
    engine: Engine, prompt: Prompt, standing: StandingReply, begun: BegunReply
) -> PublishedBefore:
    """The reply as this model is shown what another one has written."""
    message = standing.message
    if message.token_ids is not None and message.fingerprint == engine.model.fingerprint:
        segments = tuple(
            segment
            if segment.is_scaffold or segment.text != message.content
            else replace(segment, token_ids=message.token_ids)
            for segment in begun.segments
        )
        begun = replace(begun, segments=segments)
    published = PublishedReply(pieces=pieces_of(message), models=frozenset())
    return replace(in_own_ids(engine, prompt, published, begun), num_logged=0)


def pieces_of(message: StoredMessage) -> tuple[PieceRecord, ...]:
    """The parts of a stored reply."""
    thought = PieceRecord(kind="reasoning", text=message.reasoning, token_ids=())
    text = PieceRecord(kind="text", text=message.content, token_ids=())
    return tuple(piece for piece in (thought, text) if piece.text)


def to_publish(before: PublishedBefore) -> Piece:
    """What stands, as the first piece that the turn publishes."""
    parts = tuple(Part(piece.kind, piece.text) for piece in before.reply.pieces if piece.text)
    return Piece(parts, before.reply.token_ids)


def _begins_with(stored: Sequence[_Part], read: Sequence[_Part]) -> bool:
    """Whether what a reader gives out is what is stored, up to what it holds back at the end."""
    if not read:
        return True
    *before, (kind, last) = read
    behind = stored[len(before) :]
    return (
        list(stored[: len(before)]) == before
        and bool(behind)
        and behind[0][0] == kind
        and behind[0][1].startswith(last)
    )


def _published(pieces: tuple[PieceRecord, ...], token_ids: tuple[int, ...]) -> PublishedBefore:
    first, *others = pieces or (PieceRecord(text="", token_ids=()),)
    with_ids = (replace(first, token_ids=token_ids), *others)
    return PublishedBefore(reply=PublishedReply(pieces=with_ids, models=frozenset()), num_logged=0)
