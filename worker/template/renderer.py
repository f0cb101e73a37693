"""Runs a chat template, which is a foreign program: here, or in a process of its own."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from worker.template.environment import TextTemplate


class Renderer(Protocol):
    """From a template's variables to text."""

    def render(self, variables: Mapping[str, Any], now: datetime) -> str:
        """The text.

        Raises:
            TemplateError: the template fails, refuses the conversation, or takes too long.
        """
        ...

    def close(self) -> None:
        """Free what it needs."""
        ...


class InProcess:
    """Runs a template that is trusted, as those in tests are, in this process."""

    def __init__(self, source: str) -> None:
        self._template = TextTemplate(source)

    def render(self, variables: Mapping[str, Any], now: datetime) -> str:
        return self._template.render(variables, now=now)

    def close(self) -> None:
        """There is nothing to free."""
