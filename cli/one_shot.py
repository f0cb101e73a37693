"""`palaver chat PROMPT`, or with text on standard input: one prompt, and its reply.

Where standard output is no terminal the reply is written as it is, byte for byte, and nothing else:
what reads it is a program.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO, Protocol

from cli.chat_options import ChatOptions
from cli.client import ClientError, JobEvent, PalaverClient, Unreachable
from cli.dialogue import HOW_TO_START
from cli.last_conversation import LastConversation, state_file
from cli.models import check_served
from cli.reply_writer import NOTHING_SHOWN, ReplyView
from cli.terminal import screen_for
from shared.errors import EX_USAGE


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


def answer(client: PalaverClient, options: ChatOptions, asked: str, *, as_json: bool) -> int:
    """Write the reply to a prompt; returns the exit status: 0 if there is one."""
    try:
        prompt = "\n\n".join(filter(None, (_piped(), asked)))
    except UnicodeDecodeError:
        return _fail("standard input is not text in UTF-8", EX_USAGE)
    if not prompt.strip():
        return _fail("there is no prompt: neither an argument nor text on standard input", EX_USAGE)
    last = LastConversation(state_file(), client.url)
    try:
        client.get("/healthz")
        if options.model is not None:
            check_served(client, options.model)
        body = {"prompt": prompt, **dict(_conversation(options, last)), **options.prompt_fields}
        last.write(_ask(client, body, _output(options, as_json=as_json)))
    except Unreachable as error:
        return _fail(f"{error}; {HOW_TO_START}", 1)
    except ClientError as error:
        return _fail(error, 1)
    return 0


def _piped() -> str:
    """What is on standard input, unless a person is."""
    if sys.stdin.isatty():
        return ""
    return sys.stdin.buffer.read().decode().rstrip("\n")


def _conversation(options: ChatOptions, last: LastConversation) -> Iterator[tuple[str, Any]]:
    """The fields that say which conversation a prompt belongs to."""
    conversation_id = options.conversation_id or (last.read() if options.continues_last else None)
    if conversation_id is not None:
        yield "id", conversation_id
    if options.context is not None:
        yield "context", options.context
    if options.model is not None:
        yield "model", options.model


def _output(options: ChatOptions, *, as_json: bool) -> _Output:
    if as_json:
        return JsonObject(sys.stdout.buffer)
    if sys.stdout.isatty():
        return Shown(screen_for(options.shows_thoughts).new_reply(NOTHING_SHOWN))
    return Raw(sys.stdout.buffer)


def _ask(client: PalaverClient, body: Mapping[str, Any], output: _Output) -> int:
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


def _fail(reason: object, status: int) -> int:
    print(f"palaver: {reason}", file=sys.stderr)
    return status
