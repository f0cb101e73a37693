"""`palaver bench`: puts a running server under load and reports latency and throughput."""

import contextlib
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cli.client import ClientError, PalaverClient, ServerError
from cli.models import check_served

_PROMPT: Final = "Tell me more about number {number}, in a few sentences."
_BAR_WIDTH: Final = 30
_REFRESH_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class TurnTiming:
    """A completed turn: seconds since its prompt was sent, and tokens."""

    first_token_s: float
    total_s: float
    prompt_tokens: int
    cached_tokens: int
    reply_tokens: int


@dataclass
class UserLog:
    """What one user saw."""

    turns: list[TurnTiming] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


class SimulatedUser(threading.Thread):
    """Sends one prompt after another in a conversation of its own, until the time is over."""

    def __init__(
        self, client: PalaverClient, number: int, until: float, tokens: int, model: str | None
    ) -> None:
        super().__init__(daemon=True)
        self._client = client
        self._model = model
        self._number = number
        self._until = until
        self._tokens = tokens
        self._conversation_id: int | None = None
        self.log = UserLog()

    def run(self) -> None:
        try:
            while time.monotonic() < self._until:
                self.log.turns.append(self._turn())
        except ClientError as error:
            self.log.errors.append(str(error))
        finally:
            if self._conversation_id is not None:
                with contextlib.suppress(ClientError):
                    self._client.delete(f"/conversations/{self._conversation_id}")

    def _turn(self) -> TurnTiming:
        number = 100 * self._number + len(self.log.turns)
        body: dict[str, Any] = {
            "prompt": _PROMPT.format(number=number),
            "max_tokens": self._tokens,
            "ignore_eos": True,
        }
        if self._conversation_id is not None:
            body["id"] = self._conversation_id
        if self._model is not None:
            body["model"] = self._model
        began, first = time.monotonic(), None
        accepted = self._client.submit(body)
        self._conversation_id = accepted["id"]
        for event in self._client.events(accepted["job"]):
            if event.kind == "token" and first is None:
                first = time.monotonic()
            if event.kind == "completed":
                now, usage = time.monotonic(), event.data["usage"]
                return TurnTiming(
                    (first or now) - began,
                    now - began,
                    usage["prompt_tokens"],
                    usage["prompt_tokens_details"]["cached_tokens"],
                    usage["completion_tokens"],
                )
        raise ServerError(500, "a turn did not complete", 0)


def bench(
    client: PalaverClient, users: int, seconds: float, tokens: int, model: str | None = None
) -> int:
    """Run and print a report; returns the exit status.

    Args:
        users: how many send prompts at the same time.
        tokens: length of each reply.
        model: which one is to answer; None leaves it to the server.
    """
    try:
        client.get("/readyz")
        if model is not None:
            check_served(client, model)
    except ClientError as error:
        print(f"palaver: {error}", file=sys.stderr)
        return 1
    began = time.monotonic()
    crowd = [
        SimulatedUser(client, number, began + seconds, tokens, model) for number in range(users)
    ]
    for user in crowd:
        user.start()
    show_progress(crowd, began, seconds)
    took_s = time.monotonic() - began
    turns = [turn for user in crowd for turn in user.log.turns]
    errors = [text for user in crowd for text in user.log.errors]
    print("\n".join(report(turns, took_s, users)))
    for text in sorted(set(errors)):
        print(f"{errors.count(text)} × {text}")
    return int(bool(errors) or not turns)


def show_progress(crowd: Sequence[SimulatedUser], began: float, seconds: float) -> None:
    """Return when all users have their last reply; draws a bar if standard error is a terminal."""
    is_terminal = sys.stderr.isatty()
    while alive := [user for user in crowd if user.is_alive()]:
        if is_terminal:
            share = min(1.0, (time.monotonic() - began) / seconds)
            bar = "█" * int(_BAR_WIDTH * share)
            count = sum(len(user.log.turns) for user in crowd)
            line = f"\r[{bar:·<{_BAR_WIDTH}}] {100 * share:3.0f} %  {count} turns"
            print(line, end="", file=sys.stderr)
        alive[0].join(_REFRESH_S)
    if is_terminal:
        print(file=sys.stderr)


def report(turns: Sequence[TurnTiming], took_s: float, users: int) -> Iterator[str]:
    """The lines of the report."""
    yield f"{users} users, {took_s:.0f} s: {len(turns)} turns"
    if not turns:
        return
    prompts = sum(turn.prompt_tokens for turn in turns)
    cached = sum(turn.cached_tokens for turn in turns)
    replies = sum(turn.reply_tokens for turn in turns)
    yield f"reply tokens per second  {replies / took_s:.1f}"
    yield f"time to first token      {_spread([turn.first_token_s for turn in turns])}"
    yield f"whole turn               {_spread([turn.total_s for turn in turns])}"
    yield f"prompt tokens cached     {100 * cached / prompts:.0f} %"


def _spread(values: Sequence[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.2f} s"
    p95 = statistics.quantiles(values, n=20, method="inclusive")[-1]
    return f"{statistics.median(values):.2f} s median, {p95:.2f} s p95"
