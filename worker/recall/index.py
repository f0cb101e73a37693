"""Passages ranked by what a text speaks of: BM25, as bm25s computes it."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

import bm25s

from worker.prompt.passage import Passage
from worker.recall.terms import terms_of

# It logs each step of its own, to whoever listens.
logging.getLogger("bm25s").setLevel(logging.WARNING)

_COMMON: Final = 0.1
"""Of the passages: a term that more of them have says nothing about what is spoken of."""
_FEW: Final = 3
"""Passages; in a short history no term is common."""
_LEAST: Final = 0.4
"""Of the best score; passages below are not about the same."""
_ALIKE: Final = 2
"""Passages that have the same words in common with a text; more of them add little."""
_MOST: Final = 24
"""Passages; there is never room for more."""
_NEWEST: Final = 1.1
"""What the newest passage's score is multiplied by, the oldest one's by 1: of two that say the
same, the later one is what holds."""


class PassageIndex:
    """An index of some passages; never changed, but extended to a new one.

    Args:
        passages: oldest first.
        terms: of each of them.
    """

    def __init__(self, passages: Sequence[Passage], terms: Sequence[list[str]]) -> None:
        self.passages = tuple(passages)
        self._terms = tuple(terms)
        self._counts = Counter(term for own in self._terms for term in set(own))
        self._scorer: bm25s.BM25 | None = None
        if self._counts:
            self._scorer = bm25s.BM25()
            self._scorer.index(list(self._terms), show_progress=False)

    @classmethod
    def of(cls, passages: Sequence[Passage]) -> "PassageIndex":
        """An index of these passages."""
        return cls(passages, [terms_of(passage.text) for passage in passages])

    def extended(self, passages: Sequence[Passage], first: int) -> "PassageIndex":
        """One with more passages behind its own, without those that begin before `first`."""
        start = sum(passage.number < first for passage in self.passages)
        return PassageIndex(
            [*self.passages[start:], *passages],
            [*self._terms[start:], *(terms_of(passage.text) for passage in passages)],
        )

    def begins_behind(self, first: int) -> bool:
        """Whether no passage begins before the message with this number."""
        return not self.passages or self.passages[0].number >= first

    def ranked(self, text: str) -> list[Passage]:
        """The passages that a text speaks of, best first; those that say the same only once."""
        terms = [term for term in dict.fromkeys(terms_of(text)) if self._tells(term)]
        if self._scorer is None or not terms:
            return []
        scores = self._scorer.get_scores(terms)
        best = scores.max()
        newer = (_NEWEST - 1) / len(self.passages)
        places = [int(place) for place in (scores >= _LEAST * best).nonzero()[0]]
        places.sort(key=lambda place: scores[place] * (1 + newer * (place + 1)), reverse=True)
        return [self.passages[place] for place in islice(self._distinct(places, terms), _MOST)]

    def _distinct(self, places: Sequence[int], terms: Sequence[str]) -> Iterator[int]:
        """The places without those of passages that add nothing to the ones before them."""
        texts: set[str] = set()
        same = Counter[frozenset[str]]()
        for place in places:
            text = self.passages[place].text
            shared = frozenset(terms).intersection(self._terms[place])
            if text not in texts and same[shared] < _ALIKE:
                texts.add(text)
                same[shared] += 1
                yield place

    def _tells(self, term: str) -> bool:
        return 0 < self._counts[term] <= max(_FEW, _COMMON * len(self.passages))
