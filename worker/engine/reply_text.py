"""From a reply's tokens to its parts: whole characters, read by a reader, cut at stop strings."""

import codecs
from collections.abc import Sequence
from dataclasses import dataclass, field

from worker.engine.backend import Vocabulary
from worker.engine.detokenizer import Decoded, Detokenizer
from worker.engine.interface import Part, PartKind, ReplyReader
from worker.engine.stop_strings import StopStrings


@dataclass(frozen=True, slots=True)
class Output:
    """What has become final, and all token ids since the last output.

    Args:
        stopped_at: the stop string that ends the reply here.
    """

    parts: tuple[Part, ...]
    token_ids: tuple[int, ...]
    stopped_at: str | None = None


class PlainText:
    """The output of a reply that is nothing but text."""

    def __init__(self, vocabulary: Vocabulary, stop: Sequence[str]) -> None:
        self._text = Detokenizer(vocabulary.piece_of, stop)

    def push(self, token: int) -> Output | None:
        """Add a token; returns what has become final, if anything."""
        decoded = self._text.push(token)
        return None if decoded is None else _output(decoded)

    def finish(self, end_token: int | None) -> Output:
        """Everything still held back."""
        del end_token
        return _output(self._text.finish())

    def drop_ids(self) -> None:
        """Nothing is added that was given out before."""

    def forget_stops(self) -> None:
        """Nothing is looked for in what was given out before."""

    def go_on_in(self, kind: PartKind) -> None:
        """All is text."""


def _output(decoded: Decoded) -> Output:
    parts = (Part("text", decoded.text),) if decoded.text else ()
    return Output(parts, decoded.token_ids, decoded.stopped_at)


@dataclass(slots=True)
class ReadParts:
    """The output of a reply that a reader splits into parts.

    Args:
        stop: strings in the text that end the reply.
    """

    vocabulary: Vocabulary
    reader: ReplyReader
    stop: Sequence[str] = ()
    _ids: list[int] = field(default_factory=list)
    _stops: StopStrings = field(init=False)
    _decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")(errors="replace")
    )

    def __post_init__(self) -> None:
        self._stops = StopStrings(self.stop)

    def push(self, token: int) -> Output | None:
        """Add a token; returns what has become final, if anything."""
        self._ids.append(token)
        piece = self.vocabulary.piece_of(token)
        if piece:
            text = self._decoder.decode(piece)
            parts = self.reader.push(text) if text else []
        else:
            control = self.vocabulary.text_of_control(token)
            parts = self.reader.push(control, is_control=True) if control else []
        return self._checked(parts)

    def finish(self, end_token: int | None) -> Output:
        """Everything still held back.

        Args:
            end_token: the token that ended the reply; None if it was cut.
        """
        self._decoder.reset()
        ending = "" if end_token is None else self.vocabulary.text_of_control(end_token)
        output = self._checked(self.reader.finish(ending))
        rest = self._stops.flush() if output is None or output.stopped_at is None else ""
        parts = (*(output.parts if output else ()), *([Part("text", rest)] if rest else ()))
        ids = output.token_ids if output else self._take_ids()
        return Output(parts, ids, output.stopped_at if output else None)

    def _checked(self, parts: Sequence[Part]) -> Output | None:
        """The parts up to a stop string; None if nothing is final."""
        final: list[Part] = []
        for part in parts:
            text = self._stops.push(part.text) if part.kind == "text" else self._stops.flush()
            if text:
                final.append(Part("text", text))
            if self._stops.hit is not None:
                return Output(tuple(final), self._take_ids(), self._stops.hit)
            if part.kind != "text":
                final.append(part)
        return Output(tuple(final), self._take_ids()) if final else None

    def drop_ids(self) -> None:
        """Give out no ids for what was added so far: they have been given out before."""
        self._ids = []

    def forget_stops(self) -> None:
        """No stop string begins or stands in what was added so far."""
        self._stops = StopStrings(self.stop)

    def go_on_in(self, kind: PartKind) -> None:
        """Take all that was added for given out, and go on in a part of a kind."""
        self._decoder.reset()
        self.forget_stops()
        self.reader.go_on_in(kind)

    def _take_ids(self) -> tuple[int, ...]:
        ids, self._ids = tuple(self._ids), []
        return ids


ReplyText = PlainText | ReadParts
