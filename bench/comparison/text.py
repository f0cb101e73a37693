"""Seeded text that reads like English, of words that a tokenizer knows."""

import random
import re
from collections.abc import Sequence
from typing import Final

NAMES: Final = (
    "Ada", "Bruno", "Clara", "David", "Elena", "Felix", "Grace", "Hugo", "Irene", "James", "Karen",
    "Louis", "Maria", "Nora", "Oscar", "Paula", "Robert", "Sarah", "Thomas", "Victor",
)  # fmt: skip
TRADES: Final = (
    "gardener", "history teacher", "ship captain", "doctor", "chess coach", "city guide", "baker",
    "music critic", "park ranger", "librarian", "carpenter", "science writer", "travel agent",
    "football trainer", "painter", "farmer",
)  # fmt: skip
THINGS: Final = (
    "old maps", "a small garden", "the night sky", "good bread", "long journeys", "wooden boats",
    "the first railways", "garden birds", "city parks", "mountain weather", "family stories",
    "simple machines", "public libraries", "ancient bridges", "the local market", "river fish",
    "school lessons", "evening walks", "winter storms", "modern paintings", "common illnesses",
    "healthy food", "stone houses", "village life",
)  # fmt: skip
PLACES: Final = (
    "in the north", "near the coast", "in a big city", "on the other side of the river",
    "in the mountains", "at home", "in a small town", "around the lake", "in southern Europe",
    "at the office", "on the island", "in the old part of the town",
)  # fmt: skip
TIMES: Final = (
    "early in the morning", "during the summer", "a hundred years ago", "after a long day",
    "every spring", "in the last few weeks", "before the war", "on a rainy evening",
    "at the end of the year", "since my childhood",
)  # fmt: skip
MANNERS: Final = (
    "plain", "friendly", "patient", "careful", "cheerful", "quiet", "direct", "curious", "polite",
    "practical", "warm", "honest",
)  # fmt: skip

QUESTIONS: Final = (
    "I have been reading about {thing} {place}, and I wonder why people there care so much.",
    "Could you tell me how {thing} changed {time}, and what {name} would say about it?",
    "My friend {name} thinks that {thing} and {thing} have much in common.",
    "What should I know about {thing} before I meet {name} {place} {time}?",
    "Please explain it in a {manner} way, because {name} is new to all of this.",
    "Is it true that {thing} used to matter more {place} than they do today?",
    "We were talking about {thing} {time}, and nobody could agree on an answer.",
    "If you had to choose between {thing} and {thing}, which one would you take {place}?",
)
RULES: Final = (
    "You answer in a {manner} and {manner} tone, and you never forget who you are talking to.",
    "You spent many years {place} and you know everything about {thing}.",
    "When somebody asks about {thing}, you tell what you saw {place} {time}.",
    "You keep your answers short unless the question is about {thing}.",
    "Your best friend {name} taught you to be {manner} with people who ask about {thing}.",
    "You do not like to talk about {thing}, and you say so in a {manner} way.",
    "If you are not sure, you say that {name} {place} would know better.",
    "You often compare {thing} with {thing}, which makes people smile.",
)
NOTES: Final = (
    "{name} came to see us {time} and brought a report about {thing} {place}.",
    "It was {manner} work, but {name} and {name} finished the chapter on {thing} {time}.",
    "Most of the visitors {place} asked about {thing}, and some of them about {thing}.",
    "The meeting {place} ended with a {manner} word from {name} on {thing}.",
    "We decided to look at {thing} again {time}, together with {name}.",
)


SLOTS: Final = {"name": NAMES, "thing": THINGS, "place": PLACES, "time": TIMES, "manner": MANNERS}


class Author:
    """Writes what users and operators write; the same seed writes the same."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def prompt(self) -> str:
        """A user's message of 20 to 40 words."""
        text = self._sentences(QUESTIONS, at_least=20)
        return text if len(text.split()) <= 40 else self.prompt()

    def persona(self) -> str:
        """A system prompt of about 150 words."""
        opening = self._fill("{name} is your name, and you are a {manner} ")
        rules = self._sentences(RULES, at_least=130)
        return f"{opening}{self._random.choice(TRADES)}. {rules}"

    def document(self, words: int) -> str:
        """A long message: notes, and what to do with them."""
        return f"Here are my notes. {self._sentences(NOTES, words)} Please sum them up."

    def _sentences(self, patterns: Sequence[str], at_least: int) -> str:
        """Sentences of every pattern in turn, in an order that changes each time round."""
        words: list[str] = []
        order: list[str] = []
        while len(words) < at_least:
            order = order or self._random.sample(patterns, len(patterns))
            words += self._fill(order.pop()).split()
        return " ".join(words)

    def _fill(self, pattern: str) -> str:
        """A pattern with something in each slot, never twice the same (two at most of a kind)."""
        drawn = {name: self._random.sample(values, 2) for name, values in SLOTS.items()}
        return re.sub(r"{(\w+)}", lambda slot: drawn[slot[1]].pop(), pattern)
