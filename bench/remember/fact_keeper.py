"""A summarizer without a model: it keeps the newest statements that it is shown."""

import re
from collections.abc import Sequence
from typing import Final

from bench.remember.languages import LANGUAGES, Language

KEPT: Final = 8
"""Statements of a summary. Fifteen are made in a conversation; three of them correct others."""


class FactKeeper:
    """Finds what was told in a prompt, by how the bench tells it."""

    def __init__(self, languages: Sequence[Language] = LANGUAGES) -> None:
        self._statements = [
            (re.compile(re.escape(template).replace(r"\{\}", r"[^\n]+?")), subject)
            for language in languages
            for number, fact in enumerate(language.facts)
            for template, subject in (
                (fact.told, f"{language.name} {number}"),
                (fact.changed, f"{language.name} {number}"),
                (fact.decoy, f"{language.name} {number} of others"),
            )
        ]

    def summary(self, prompt: str) -> str:
        """The last statements of a prompt, the last one about each subject, a line each."""
        found = sorted(
            (match.start(), subject, match[0])
            for statement, subject in self._statements
            for match in statement.finditer(prompt)
        )
        last = {subject: (place, text) for place, subject, text in found}
        kept = sorted(last.values())[-KEPT:]
        return "\n".join(text for _, text in kept)
