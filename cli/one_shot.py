"""`palaver chat PROMPT`, or with text on standard input: one prompt, and its reply.

Where standard output is no terminal the reply is written as it is, byte for byte, and nothing else:
what reads it is a program.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO, Final, Protocol

from cli.client import ClientError, JobEvent, PalaverClient
from cli.reply_writer import ReplyView

INTERRUPTED: Final = 130
_PATIENCE_S: Final = 60


class NoReply(ClientError):
    """The turn ended without one."""


class _Output(Protocol):
    """Where a reply goes."""

    def event(self, event: JobEvent) -> None: ...

    def close(self) -> None: ...


class Raw:
    """A reply's text as it is, with a newline at its end."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._is_in_line = False

    def event(self, event: JobEvent) -> None:
        if event.kind == "token":
            self._out.write(event.data["text"].encode())
            self._out.flush()
            self._is_in_line = not event.data["text"].endswith("\n")

    def close(self) -> None:
        if self._is_in_line:
            self._out.write(b"\n")
            self._out.flush()


class JsonObject:
    """The reply's object, as `POST /` answers it, in one line."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def event(self, event: JobEvent) -> None:
        if event.kind == "completed":
            line = json.dumps(event.data, ensure_ascii=False, separators=(",", ":"))
            self._out.write(f"{line}\n".encode())
            self._out.flush()

    def close(self) -> None:
        """The line is written whole."""


class Shown:
    """A reply for a person."""

    def __init__(self, view: ReplyView) -> None:
        self._view = view

    def event(self, event: JobEvent) -> None:
        match event.kind:
            case "reasoning":
                self._view.reasoning(event.data["text"])
            case "token":
                self._view.text(event.data["text"])
            case "call":
                self._view.call(event.data)

    def close(self) -> None:
        self._view.finish()


def ask(client: PalaverClient, body: Mapping[str, Any], output: _Output) -> int:
    """Send a prompt and write its reply; returns the conversation's id.

    Raises:
        ClientError: there is no reply; the text says why.
        KeyboardInterrupt: what is written of the reply is kept by the server.
    """
    accepted = client.submit(body)
    try:
        _follow(client.events(accepted["job"]), output)
    except (KeyboardInterrupt, BrokenPipeError):
        client.post(f"/jobs/{accepted['job']}/stop")
        raise
    finally:
        output.close()
    conversation_id: int = accepted["id"]
    return conversation_id


def _follow(events: Iterable[JobEvent], output: _Output) -> None:
    for event in events:
        match event.kind:
            case "failed":
                raise NoReply(event.data["error"]["detail"])
            case "cancelled":
                raise NoReply("the turn was cancelled")
        output.event(event)
        if event.kind == "completed" and event.data.get("finish_reason") == "length":
            print("palaver: the reply was cut: it is as long as it may be", file=sys.stderr)
