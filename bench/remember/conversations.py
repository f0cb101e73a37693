"""Long conversations in which facts are told, corrected, and asked for later."""

import random
from dataclasses import dataclass
from typing import Final

from bench.remember.languages import Fact, Language

TURNS: Final = 120
_FACTS: Final = 6
_CORRECTED: Final = 3
_TOLD: Final = range(1, 46)
_CHANGED: Final = range(46, 81)
_DECOYS: Final = range(1, 111)
"""In which turns."""
_SENTENCES: Final = (4, 9)
"""Of a reply, at least and at most."""


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """A prompt and its reply."""

    prompt: str
    reply: str


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked in the end, and what the prompt must hold then."""

    prompt: str
    value: str
    is_corrected: bool


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """What was said, and what is asked about it."""

    language: str
    exchanges: tuple[Exchange, ...]
    questions: tuple[Question, ...]


class Talk:
    """Makes conversations in one language."""

    def __init__(self, language: Language, seed: str) -> None:
        self._language = language
        self._random = random.Random(seed)

    def conversation(self, turns: int = TURNS) -> Conversation:
        """`turns` of them; those that tell something are among the first 120."""
        values = self._random.sample(self._language.values, 2 * _FACTS + _CORRECTED)
        facts = self._random.sample(self._language.facts, _FACTS)
        told: dict[int, str] = {}
        questions = []
        for place, fact in enumerate(facts):
            value = values.pop()
            self._tell(told, _TOLD, fact.told.format(value))
            self._tell(told, _DECOYS, fact.decoy.format(values.pop()))
            if place < _CORRECTED:
                value = values.pop()
                self._tell(told, _CHANGED, fact.changed.format(value))
            questions.append(_question(fact, value, is_corrected=place < _CORRECTED))
        self._random.shuffle(questions)
        return Conversation(
            language=self._language.name,
            exchanges=tuple(self._exchange(told.get(turn)) for turn in range(1, turns + 1)),
            questions=tuple(questions),
        )

    def small_talk(self) -> Exchange:
        """About anything."""
        return self._exchange(None)

    def _tell(self, told: dict[int, str], turns: range, text: str) -> None:
        turn = self._random.choice([turn for turn in turns if turn not in told])
        told[turn] = text

    def _exchange(self, told: str | None) -> Exchange:
        if told is not None:
            return Exchange(prompt=told, reply=self._random.choice(self._language.noted))
        subject = self._random.choice(self._language.subjects)
        prompt = self._random.choice(self._language.prompts).format(subject)
        number = self._random.randint(*_SENTENCES)
        sentences = self._random.sample(self._language.sentences, number)
        space = " " if " " in self._language.sentences[0] else ""
        return Exchange(prompt=prompt, reply=space.join(sentences).format(*[subject] * 9))


def _question(fact: Fact, value: str, *, is_corrected: bool) -> Question:
    return Question(prompt=fact.asked, value=value, is_corrected=is_corrected)
