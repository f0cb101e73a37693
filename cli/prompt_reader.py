"""Reads prompts from a terminal: a history, completed commands, pasted lines as one prompt.

Loaded only where there is a terminal.
"""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

from cli.line_reader import CONTINUED
from cli.typing_ahead import TypingAhead


class PromptReader:
    """Asks for one prompt after another.

    Args:
        history: the file that keeps prompts for the next start; nobody else may read it.
        commands: what a prompt may be instead, with what it does.
    """

    def __init__(self, history: Path, commands: Iterable[tuple[str, str]]) -> None:
        self._session: PromptSession[str] = PromptSession(
            "> ",
            multiline=True,
            prompt_continuation=". ",
            history=_open_history(history),
            completer=_Commands(tuple(commands)),
            complete_while_typing=True,
            key_bindings=_keys(),
        )
        self._typed = ""

    def read(self) -> str | None:
        typed, self._typed = self._typed, ""
        try:
            return self._session.prompt(default=typed)
        except EOFError:
            return None
        except KeyboardInterrupt:
            return ""

    @contextlib.contextmanager
    def while_replying(self) -> Iterator[None]:
        """What is typed meanwhile begins the next prompt; `/stop` stops the reply."""
        ahead = TypingAhead()
        try:
            with ahead:
                yield
        finally:
            self._typed = ahead.text.rstrip()


class _Commands(Completer):
    """Completes the word that begins with a slash at the beginning."""

    def __init__(self, commands: tuple[tuple[str, str], ...]) -> None:
        self._commands = commands

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterable[Completion]:
        del complete_event
        typed = document.text_before_cursor
        if typed.startswith("/") and not document.text_after_cursor:
            for name, text in self._commands:
                if name.startswith(typed):
                    yield Completion(name, -len(typed), display_meta=text)


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.document.text_before_cursor.endswith(CONTINUED):
            buffer.delete_before_cursor()
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys


def _open_history(path: Path) -> History:
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        return FileHistory(str(path))
    return InMemoryHistory()
