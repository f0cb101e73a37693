"""`palaver chat`: a conversation in the terminal."""

import contextlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TextIO

from cli.client import Client, ServerError, Unreachable

_HELP: Final = """\
  /new       begin another conversation
  /retry     let the bot answer your last prompt again
  /history   show what was said
  /quit      leave; the conversation stays, and `palaver chat` goes on with it
Ctrl-C stops a reply. A line that ends in \\ goes on in the next one."""
_SHOWN: Final = 6
"""Messages shown when a conversation is taken up again."""


def state_file() -> Path:
    """Where the last conversation's id is kept."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "palaver" / "conversation"


class LastConversation:
    """Remembers which conversation this user had last, for each server.

    Without API keys the id is all that is needed to read it: the file is this user's alone.
    """

    def __init__(self, path: Path, url: str) -> None:
        self._path = path
        self._url = url

    def read(self) -> int | None:
        return self._all().get(self._url)

    def write(self, conversation: int | None) -> None:
        known = self._all()
        known.pop(self._url, None)
        if conversation is not None:
            known[self._url] = conversation
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch(mode=0o600)
            self._path.write_text(json.dumps(known), encoding="utf-8")

    def _all(self) -> dict[str, int]:
        with contextlib.suppress(OSError, ValueError):
            return dict(json.loads(self._path.read_text(encoding="utf-8")))
        return {}


class Chat:
    """Prompts in, replies out.

    Args:
        last: where the conversation's id is kept between two starts.
        context: the bot's instructions in a new conversation.
    """

    def __init__(
        self, client: Client, last: LastConversation, out: TextIO, context: str | None = None
    ) -> None:
        self._client = client
        self._last = last
        self._out = out
        self._context = context
        self._conversation: int | None = None

    def resume(self, conversation: int) -> None:
        """Take a conversation up: show the end of it, and the reply that is being written.

        Raises:
            ServerError: it does not exist, or is not ours.
        """
        found = self._client.get(f"/conversations/{conversation}")
        self._conversation = conversation
        self._last.write(conversation)
        self._say(f"Going on with conversation {conversation} ({found['turns']} turns).")
        self._show(_SHOWN)
        for job in found["pending"]:
            self._follow(job)

    def run(self) -> None:
        """Until the end of the input, or `/quit`."""
        self._say("Enter a prompt; /help shows what else there is.")
        while (line := self._read()) is not None:
            command = line.strip()
            if command == "/quit":
                return
            if command:
                self._guarded(command)

    def _guarded(self, line: str) -> None:
        try:
            self._do(line)
        except (ServerError, Unreachable) as error:
            self._say(f"That did not work: {error}")
        except KeyboardInterrupt:
            self._say("\n(given up; it may have been sent: /history shows what was said)")

    def _do(self, line: str) -> None:
        match line:
            case "/help":
                self._say(_HELP)
            case "/new":
                self._conversation = None
                self._last.write(None)
                self._say("A new conversation.")
            case "/history":
                self._show(None)
            case "/retry":
                self._retry()
            case _ if line.startswith("/"):
                self._say(f"There is no {line.split()[0]}; /help shows what there is.")
            case _:
                self._ask({"prompt": line})

    def _ask(self, body: dict[str, Any]) -> None:
        if self._conversation is not None:
            body["id"] = self._conversation
        elif self._context is not None:
            body["context"] = self._context
        accepted = self._client.submit(body)
        self._conversation = accepted["id"]
        self._last.write(self._conversation)
        self._follow(accepted["job"])

    def _retry(self) -> None:
        prompts = [one for one in self._messages(10) if one["role"] == "user"]
        if not prompts:
            self._say("Nothing was said yet.")
            return
        self._ask({"prompt": prompts[-1]["content"], "replace_from": prompts[-1]["number"]})

    def _follow(self, job: str) -> None:
        """Write a reply as it comes; Ctrl-C stops it."""
        try:
            for event in self._client.events(job):
                self._tell(event.kind, event.data)
        except KeyboardInterrupt:
            self._client.delete(f"/jobs/{job}")
            self._say("\n(stopped; it is not part of the conversation)")
            self._leave_if_gone()

    def _leave_if_gone(self) -> None:
        """A conversation whose first turn came to nothing is gone: next time another begins."""
        try:
            self._client.get(f"/conversations/{self._conversation}")
        except ServerError as error:
            if error.status != 404:
                raise
            self._conversation = None
            self._last.write(None)

    def _tell(self, kind: str, data: Mapping[str, Any]) -> None:
        match kind:
            case "queued" if data["position"] > 1:
                eta = data.get("eta_seconds")
                about = f", about {eta:.0f} s" if eta is not None else ""
                self._say(f"(place {data['position']} in the queue{about})")
            case "resumed":
                self._write("\n(another worker goes on)\n")
            case "token":
                self._write(data["text"])
            case "completed":
                dropped = data["window"]["turns_dropped"]
                self._say(f"\n({dropped} turns are no longer in view)" if dropped else "")
            case "failed":
                self._say(f"\n(this did not work: {data['error']['detail']})")
                self._leave_if_gone()
            case "cancelled":
                self._say("\n(stopped; it is not part of the conversation)")
                self._leave_if_gone()

    def _show(self, limit: int | None) -> None:
        for message in self._messages(limit):
            mark = "> " if message["role"] == "user" else ""
            self._say(f"{mark}{message['content']}")

    def _messages(self, limit: int | None) -> list[Any]:
        """The newest messages, oldest first; None for all."""
        found: list[Any] = []
        before = ""
        while self._conversation is not None:
            path = f"/conversations/{self._conversation}/messages?limit={limit or 500}{before}"
            page = self._client.get(path)
            found = page["messages"] + found
            if limit is not None or page["next"] is None:
                break
            before = f"&before={page['next']}"
        return found

    def _read(self) -> str | None:
        lines: list[str] = []
        try:
            while True:
                line = input("> " if not lines else ". ")
                lines.append(line.removesuffix("\\"))
                if not line.endswith("\\"):
                    return "\n".join(lines)
        except EOFError:
            return "\n".join(lines) if lines else None
        except KeyboardInterrupt:
            self._say("")
            return ""

    def _say(self, text: str) -> None:
        self._write(f"{text}\n")

    def _write(self, text: str) -> None:
        # Not what a terminal would obey: replies are hostile input.
        shown = "".join(c for c in text if c.isprintable() or c in "\n\t")
        self._out.write(shown)
        self._out.flush()


def chat(client: Client, conversation: int | None, context: str | None, *, new: bool) -> int:
    """Run it; returns the exit status."""
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401, PLC0415 - gives `input` a history, where it exists
    last = LastConversation(state_file(), client.url)
    chat = Chat(client, last, sys.stdout, context)
    taken_up = conversation or (None if new or context is not None else last.read())
    try:
        client.get("/healthz")
        if taken_up is not None:
            chat.resume(taken_up)
    except Unreachable as error:
        return _refuse(f"{error}; `make run` starts it, PORT or --url name another address")
    except ServerError as error:
        # Forgotten only if it is gone: without keys the id is the only way back to it.
        if conversation is not None or error.status != 404:
            return _refuse(error)
        last.write(None)
    chat.run()
    return 0


def _refuse(error: object) -> int:
    print(f"palaver: {error}", file=sys.stderr)
    return 1
