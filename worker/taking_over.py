"""What another model has published of a reply, so that this worker's model goes on behind it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from shared.wire.publication import PublishedReply, merged
from worker.engine.interface import Engine, PartKind, ReplyReader, Segment
from worker.prompt.prompt import Prompt
from worker.reading.begun import BegunReply


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedBefore:
    """What earlier starts of a turn have published, in this model's ids.

    Args:
        num_logged: ids that the log holds, in whatever model's.
        goes_on_in: kind of the part that follows, if another model wrote what stands before it.
    """

    reply: PublishedReply
    num_logged: int
    goes_on_in: PartKind | None = None


def reads_alike(engine: Engine, reader: ReplyReader | None, published: PublishedReply) -> bool:
    """Whether this worker's reader makes of the ids what was published.

    It may not, although the model is the same: another chat template, or thoughts switched off.
    """
    given = joined((piece.kind, piece.text) for piece in published.pieces)
    if reader is None:
        return all(kind == "text" for kind, _ in given)
    text = engine.detokenize(published.token_ids, controls=True)
    parts = joined((part.kind, part.text) for part in reader.push(text))
    *before, (kind, last) = given or [("text", "")]
    # What may begin a stop string was read, but not given out.
    behind = [*parts[len(before) :], ("text", "")]
    return (
        parts[: len(before)] == before
        and behind[0][0] == kind
        and behind[0][1].startswith(last)
        and all(each == "text" for each, _ in behind[1:])
    )


def joined(parts: Iterable[tuple[PartKind, str]]) -> list[tuple[PartKind, str]]:
    """Neighbours of one kind as one part; calls stay apart, and empty parts are left out."""
    neighbours: list[tuple[PartKind, str]] = []
    for kind, text in parts:
        if neighbours and neighbours[-1][0] == kind != "call":
            neighbours[-1] = (kind, neighbours[-1][1] + text)
        elif text:
            neighbours.append((kind, text))
    return neighbours


def in_own_ids(
    engine: Engine, prompt: Prompt, published: PublishedReply, begun: BegunReply
) -> PublishedBefore:
    """What another model published, with the ids that this one is shown of it.

    Behind a call there is nothing to go on with: its result comes next.
    """
    pieces = merged(replace(piece, token_ids=()) for piece in published.pieces)
    # Behind the prompt, as some vocabularies tokenize a text alone in another way.
    before = Segment("", token_ids=prompt.token_ids)
    token_ids = tuple(engine.encode([before, *begun.segments])[len(prompt.token_ids) :])
    with_ids = [
        replace(piece, token_ids=token_ids if place == 0 else ())
        for place, piece in enumerate(pieces)
    ]
    return PublishedBefore(
        reply=replace(
            published,
            pieces=tuple(with_ids),
            can_continue=all(piece.kind != "call" for piece in pieces),
        ),
        num_logged=len(published.token_ids),
        goes_on_in=begun.kind,
    )
