"""Turns tokens into text as they arrive: whole characters, and never past a stop string."""

import codecs
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Decoded:
    """Final text and its tokens; `stopped_at` is the stop string that was found, if one was."""

    text: str
    token_ids: tuple[int, ...]
    stopped_at: str | None = None


class Detokenizer:
    """Decodes one reply.

    Tokens are held back while they end in an incomplete character or in what may become a stop
    string. What is returned ends with a whole token, so another attempt can continue after it.

    Args:
        piece_of: a token's bytes.
        stop: strings that end the reply.
    """

    def __init__(self, piece_of: Callable[[int], bytes], stop: Sequence[str] = ()) -> None:
        self._piece_of = piece_of
        self._stop = tuple(stop)
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._held_text = ""
        self._held_ids: list[int] = []

    def push(self, token: int) -> Decoded | None:
        """Add a token; returns what has become final, if anything."""
        piece = self._piece_of(token)
        if not self._held_ids and not self._stop and piece.isascii():
            return Decoded(piece.decode("ascii"), (token,))  # nearly all tokens
        self._held_ids.append(token)
        self._held_text += self._decoder.decode(piece)
        if self._stop:
            found = self._first_stop()
            if found is not None:
                return self._take(found[0], stopped_at=found[1])
            if self._may_stop():
                return None
        if self._in_character():
            return None
        return self._take(len(self._held_text))

    def finish(self) -> Decoded:
        """Everything still held back; no more tokens will come.

        An incomplete character is left out, but its tokens are not.
        """
        self._decoder.reset()
        return self._take(len(self._held_text))

    def _take(self, length: int, *, stopped_at: str | None = None) -> Decoded:
        decoded = Decoded(self._held_text[:length], tuple(self._held_ids), stopped_at)
        self._held_text, self._held_ids = "", []
        return decoded

    def _in_character(self) -> bool:
        return bool(self._decoder.getstate()[0])

    def _first_stop(self) -> tuple[int, str] | None:
        """Where the first stop string begins, and which one it is."""
        found = ((self._held_text.find(stop), stop) for stop in self._stop)
        return min((each for each in found if each[0] >= 0), default=None)

    def _may_stop(self) -> bool:
        """Whether the held text ends with the beginning of a stop string."""
        return any(
            self._held_text.endswith(stop[:length])
            for stop in self._stop
            for length in range(1, len(stop))
        )
