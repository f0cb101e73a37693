"""From text to token ids: those of llama.cpp for the whole text, and no control token by stealth.

llama.cpp looks for the texts of special tokens first, and tokenizes what is between them by itself.
So a text may be cut before any special token without changing the ids, which lets unchanged
stretches of a prompt be tokenized once. What somebody wrote is cut inside whatever spells such a
token, and the halves are tokenized apart.
"""

import re
import threading
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from worker.engine.interface import Segment
from worker.engine.vocabulary import ModelVocabulary

_KEPT_CHARACTERS: Final = 1 << 22
"""Of the stretches whose ids are kept: many long conversations."""


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A text that is tokenized by itself.

    Args:
        continues: whether text comes before it, so that nothing is put in front.
        is_plain: whether control tokens in it are not recognised.
    """

    text: str
    continues: bool
    is_plain: bool = False


@dataclass(slots=True)
class _Run:
    """Neighbouring segments' text; `borders` are where somebody's begins and ends in turn."""

    text: str = ""
    borders: list[int] = field(default_factory=list)

    def first_foreign(self, start: int, end: int) -> int | None:
        """The first character between two places that the template did not write."""
        place = bisect_right(self.borders, start)
        if place % 2:
            return start
        return self.borders[place] if self.borders[place:] and self.borders[place] < end else None


class Encoder:
    """Tokenizes prompts for one model; thread-safe."""

    def __init__(self, vocabulary: ModelVocabulary) -> None:
        self._vocabulary = vocabulary
        self._spellings = _pattern(vocabulary)
        self._stripping = frozenset(vocabulary.left_stripping)
        self._lock = threading.Lock()
        self._known: OrderedDict[_Stretch, array[int]] = OrderedDict()
        self._num_characters = 0

    def tokenize(self, text: str) -> list[int]:
        """Ids of what somebody wrote, by itself."""
        return self._of_run([Segment(text)], continues=False)

    def encode(self, segments: Sequence[Segment]) -> list[int]:
        """The ids of a whole prompt, the tokens that the model wants in front included."""
        token_ids: list[int] = []
        waiting: list[Segment] = []
        for segment in segments:
            if segment.token_ids is None:
                waiting.append(segment)
                continue
            token_ids += self._of_run(waiting, continues=bool(token_ids))
            token_ids += segment.token_ids
            waiting = []
        token_ids += self._of_run(waiting, continues=bool(token_ids))
        leading = self._vocabulary.leading_tokens
        return token_ids if token_ids[: len(leading)] == leading else leading + token_ids

    def _of_run(self, segments: Sequence[Segment], *, continues: bool) -> list[int]:
        run = _joined(segments)
        token_ids: list[int] = []
        for stretch in self._stretches(run, continues):
            token_ids.extend(self._ids(stretch))
        return token_ids

    def _stretches(self, run: _Run, continues: bool) -> Iterator[_Stretch]:
        """The text, cut before special tokens of the template and inside those of others."""
        cuts = {0: continues}
        plain: set[int] = set()
        reach = 0
        for start, end in self._occurrences(run.text):
            foreign = run.first_foreign(start, end)
            if foreign is None:
                if start >= reach and run.text[start:end] not in self._stripping:
                    cuts[start] = cuts.get(start, False) and not start
                reach = max(reach, end)
            elif end - start > 1:
                cuts[max(start + 1, foreign)] = True
            else:
                plain.add(start)
                cuts |= {start: start > 0 or continues, end: True}
        for start, end in pairwise([*sorted(cuts), len(run.text)]):
            if end > start:
                yield _Stretch(run.text[start:end], cuts[start], start in plain)

    def _occurrences(self, text: str) -> Iterator[tuple[int, int]]:
        """Where special tokens are spelled, the longest at each place, also inside each other."""
        match = self._spellings.search(text) if self._spellings is not None else None
        while match is not None:
            yield match.span()
            match = match.re.search(text, match.start() + 1)

    def _ids(self, stretch: _Stretch) -> Sequence[int]:
        with self._lock:
            known = self._known.get(stretch)
            if known is not None:
                self._known.move_to_end(stretch)
                return known
        token_ids = array(
            "i",
            self._vocabulary.tokenize(
                stretch.text, special=not stretch.is_plain, continues=stretch.continues
            ),
        )
        self._keep(stretch, token_ids)
        return token_ids

    def _keep(self, stretch: _Stretch, token_ids: "array[int]") -> None:
        with self._lock:
            if stretch in self._known or len(stretch.text) > _KEPT_CHARACTERS:
                return
            self._known[stretch] = token_ids
            self._num_characters += len(stretch.text)
            while self._num_characters > _KEPT_CHARACTERS:
                oldest, _ = self._known.popitem(last=False)
                self._num_characters -= len(oldest.text)


def _joined(segments: Sequence[Segment]) -> _Run:
    run, texts, length = _Run(), list[str](), 0
    for segment in segments:
        end = length + len(segment.text)
        if not segment.is_scaffold and segment.text:
            if run.borders and run.borders[-1] == length:
                run.borders[-1] = end
            else:
                run.borders += [length, end]
        texts.append(segment.text)
        length = end
    run.text = "".join(texts)
    return run


def _pattern(vocabulary: ModelVocabulary) -> "re.Pattern[str] | None":
    """Finds what spells a special token.

    Some vocabularies have tokens for blank lines and single letters that llama.cpp treats alike;
    these are text, and stay.
    """
    texts = {
        text
        for token, text in vocabulary.special_texts.items()
        if not text.isspace() and (len(text) > 1 or vocabulary.is_control(token))
    }
    longest_first = sorted(filter(None, texts), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
