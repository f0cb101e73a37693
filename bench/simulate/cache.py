"""What a worker has evaluated and still holds."""

from collections import Counter, OrderedDict
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Held:
    """One conversation's tokens."""

    tokens: int
    persona: int


class Cache:
    """Conversations by last use, up to so many tokens; the one used longest ago goes first."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._held: OrderedDict[int, Held] = OrderedDict()
        self._personas: Counter[int] = Counter()
        self._tokens = 0

    def tokens_of(self, dialogue: int) -> int:
        held = self._held.get(dialogue)
        return held.tokens if held else 0

    def has_persona(self, persona: int) -> bool:
        """Whether any conversation here begins with it."""
        return self._personas[persona] > 0

    def put(self, dialogue: int, tokens: int, persona: int) -> None:
        self._drop(dialogue)
        self._held[dialogue] = Held(tokens, persona)
        self._tokens += tokens
        self._personas[persona] += 1
        while self._tokens > self._capacity and len(self._held) > 1:
            self._drop(next(iter(self._held)))

    def _drop(self, dialogue: int) -> None:
        held = self._held.pop(dialogue, None)
        if held is not None:
            self._tokens -= held.tokens
            self._personas[held.persona] -= 1
