"""`palaver bench`: a minute of load on a running server, and what it made of it."""

import contextlib
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cli.client import Client, ServerError, Unreachable

_PROMPT: Final = "Tell me more about number {number}, in a few sentences."
_WIDTH: Final = 30
_EVERY_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Turn:
    """One that was completed: seconds from its prompt on, tokens."""

    first_token_s: float
    total_s: float
    prompt_tokens: int
    cached_tokens: int
    reply_tokens: int


@dataclass
class Outcome:
    """What all users saw."""

    turns: list[Turn] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


class User(threading.Thread):
    """Says one thing after the other in a conversation of its own, until the time is over."""

    def __init__(self, client: Client, number: int, until: float, tokens: int) -> None:
        super().__init__(daemon=True)
        self._client = client
        self._number = number
        self._until = until
        self._tokens = tokens
        self._conversation: int | None = None
        self.outcome = Outcome()

    def run(self) -> None:
        try:
            while time.monotonic() < self._until:
                self.outcome.turns.append(self._turn())
        except (ServerError, Unreachable) as error:
            self.outcome.errors.append(str(error))
        finally:
            if self._conversation is not None:
                with contextlib.suppress(ServerError, Unreachable):
                    self._client.delete(f"/conversations/{self._conversation}")

    def _turn(self) -> Turn:
        number = 100 * self._number + len(self.outcome.turns)
        body: dict[str, Any] = {
            "prompt": _PROMPT.format(number=number),
            "max_tokens": self._tokens,
            "ignore_eos": True,
        }
        if self._conversation is not None:
            body["id"] = self._conversation
        began, first = time.monotonic(), None
        accepted = self._client.submit(body)
        self._conversation = accepted["id"]
        for event in self._client.events(accepted["job"]):
            if event.kind == "token" and first is None:
                first = time.monotonic()
            if event.kind == "completed":
                now, usage = time.monotonic(), event.data["usage"]
                return Turn(
                    (first or now) - began,
                    now - began,
                    usage["prompt_tokens"],
                    usage["prompt_tokens_details"]["cached_tokens"],
                    usage["completion_tokens"],
                )
        raise ServerError(500, "a turn did not complete", 0)


def bench(client: Client, users: int, seconds: float, tokens: int) -> int:
    """Run it; returns the exit status."""
    try:
        client.get("/readyz")
    except (ServerError, Unreachable) as error:
        print(f"palaver: {error}", file=sys.stderr)
        return 1
    began = time.monotonic()
    crowd = [User(client, number, began + seconds, tokens) for number in range(users)]
    for user in crowd:
        user.start()
    watch(crowd, began, seconds)
    took_s = time.monotonic() - began
    turns = [turn for user in crowd for turn in user.outcome.turns]
    errors = [text for user in crowd for text in user.outcome.errors]
    print("\n".join(report(turns, took_s, users)))
    for text in sorted(set(errors)):
        print(f"{errors.count(text)} × {text}")
    return int(bool(errors) or not turns)


def watch(crowd: Sequence[User], began: float, seconds: float) -> None:
    """A bar that grows, until everybody has their last reply."""
    shows = sys.stderr.isatty()
    while alive := [user for user in crowd if user.is_alive()]:
        if shows:
            share = min(1.0, (time.monotonic() - began) / seconds)
            bar = "█" * int(_WIDTH * share)
            count = sum(len(user.outcome.turns) for user in crowd)
            line = f"\r[{bar:·<{_WIDTH}}] {100 * share:3.0f} %  {count} turns"
            print(line, end="", file=sys.stderr)
        alive[0].join(_EVERY_S)
    if shows:
        print(file=sys.stderr)


def report(turns: Sequence[Turn], took_s: float, users: int) -> Iterator[str]:
    """What came of it, a line each."""
    yield f"{users} users, {took_s:.0f} s: {len(turns)} turns"
    if not turns:
        return
    prompts = sum(turn.prompt_tokens for turn in turns)
    cached = sum(turn.cached_tokens for turn in turns)
    replies = sum(turn.reply_tokens for turn in turns)
    yield f"reply tokens a second   {replies / took_s:.1f}"
    yield f"first token             {_spread([turn.first_token_s for turn in turns])}"
    yield f"whole turn              {_spread([turn.total_s for turn in turns])}"
    yield f"prompt tokens cached    {100 * cached / prompts:.0f} %"


def _spread(values: Sequence[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.2f} s"
    p95 = statistics.quantiles(values, n=20, method="inclusive")[-1]
    return f"{statistics.median(values):.2f} s median, {p95:.2f} s at 95 %"
