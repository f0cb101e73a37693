"""Clients of a storm: they send, wait, stream, vanish, resume, repeat, cancel and delete.

Every prompt goes under an idempotency key of its own and is sent again until somebody names its
job; from then on its client asks until it knows how that ended.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
import orjson

from tests.faults.ledger import Ledger, Talk, Turn
from tests.sse import Received, received

TERMINAL: Final = ("completed", "failed", "cancelled")
PAUSE_S: Final = 0.1
ANSWER_S: Final = 20.0
_CHANGES_MODEL: Final = 0.15
_NAMES_NO_MODEL: Final = 0.2


class Gone(Exception):
    """The conversation was deleted meanwhile."""


class Client:
    """One user with one conversation.

    Args:
        urls: the APIs; each request goes to any of them.
        models: what the servers have, if prompts name one; a conversation now and then changes from
            one to another.
        seed: decides everything that this client does of its own accord.
        talk: what it says.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        urls: Sequence[str],
        models: Sequence[str],
        seed: str,
        talk: Talk,
        ledger: Ledger,
    ) -> None:
        self._http = http
        self._models = models
        self._urls = urls
        self._random = random.Random(seed)
        self._model = self._random.choice(models) if models else None
        self._talk = talk
        self._ledger = ledger

    async def converse(self, num_turns: int) -> None:
        """All turns, one after the other or two at once; perhaps the conversation is deleted."""
        deleting = self._random.random() < 0.06
        number = 0
        try:
            while number < num_turns:
                at_once = 2 if self._talk.id is not None and self._random.random() < 0.15 else 1
                turns = [
                    self._next_turn(number + n) for n in range(min(at_once, num_turns - number))
                ]
                number += len(turns)
                asking = asyncio.gather(*map(self._ask, turns), return_exceptions=True)
                if deleting and number >= num_turns // 2:
                    await self._delete_during(asking)
                for outcome in await asking:
                    if outcome is not None:
                        raise outcome
                if self._talk.is_deleted:
                    return
                if not self._talk.has_said_something:
                    # A conversation whose first turn came to nothing is gone.
                    self._talk.id = None
        except Gone:
            # Nobody deleted it: it is lost, or a turn of it.
            self._talk.is_lost = not self._talk.is_deleted

    def _next_turn(self, number: int) -> Turn:
        turn = Turn(
            prompt=f"{self._talk.name} says {number}",
            key=f"key-of-{self._talk.name}-{number:06}",
            model=self._next_model(),
        )
        self._talk.turns.append(turn)
        return turn

    def _next_model(self) -> str | None:
        """Mostly the one before, sometimes another one, sometimes whatever the server chooses."""
        if self._models and self._random.random() < _CHANGES_MODEL:
            self._model = self._random.choice(self._models)
        return None if self._random.random() < _NAMES_NO_MODEL else self._model

    async def _ask(self, turn: Turn) -> None:
        way = self._random.choices(
            (self._wait, self._stream, self._poll, self._twice, self._cancel),
            weights=(35, 35, 12, 12, 6),
        )[0]
        await way(turn)
        if turn.status is None:
            await self._until_ended(turn)

    # The ways.

    async def _wait(self, turn: Turn) -> None:
        """A plain POST; a lost one is repeated."""
        await self._submit(turn, "/")

    async def _poll(self, turn: Turn) -> None:
        await self._submit(turn, "/jobs")

    async def _twice(self, turn: Turn) -> None:
        """The same request twice at once, at two APIs."""
        await asyncio.gather(self._submit(turn, "/jobs"), self._submit(turn, "/"))

    async def _cancel(self, turn: Turn) -> None:
        await self._submit(turn, "/jobs")
        await asyncio.sleep(self._random.random() * 0.3)
        async for answer in self._answers("DELETE", f"/jobs/{turn.job}"):
            if answer.status_code == 404:
                raise Gone
            if answer.status_code == 200:
                return

    async def _stream(self, turn: Turn) -> None:
        """Reads events, goes away now and then, and resumes elsewhere."""
        await self._submit(turn, "/jobs")
        events: list[Received] = []
        while not (events and events[-1].kind in TERMINAL):
            patience = self._random.choice((1, 3, 8, 1000))
            try:
                async with asyncio.timeout(ANSWER_S):
                    await self._read(turn, events, patience)
            except orjson.JSONDecodeError:
                turn.is_garbled = True
                return
            except (httpx.TransportError, TimeoutError):
                self._ledger.refused("stream broken")
                await asyncio.sleep(PAUSE_S)
            turn.resumptions += 1
        turn.streamed = "".join(one.data["text"] for one in events if one.kind == "token")
        turn.status = events[-1].kind
        if turn.status == "completed":
            turn.replied(events[-1].data)

    async def _read(self, turn: Turn, events: list[Received], patience: int) -> None:
        headers = {"Last-Event-ID": events[-1].id} if events else {}
        path = f"{self._any_url()}/jobs/{turn.job}/events"
        async with self._http.stream("GET", path, headers=headers) as response:
            if response.status_code == 404:
                raise Gone
            if response.status_code != 200:
                self._ledger.refused(f"stream {response.status_code}")
                await asyncio.sleep(PAUSE_S)
                return
            async for event in received(response):
                # A place in the queue is told again under the id it has.
                if event.kind != "queued" or not events:
                    events.append(event)
                patience -= 1
                if patience == 0 or event.kind in TERMINAL:
                    return

    # What they are made of.

    async def _submit(self, turn: Turn, path: str) -> None:
        """Send until a job is named; a reply that comes at once is kept."""
        body: dict[str, Any] = {"prompt": turn.prompt}
        if turn.model is not None:
            body["model"] = turn.model
        if self._talk.id is not None:
            body["id"] = self._talk.id
        else:
            body["context"] = f"You talk with {self._talk.name}."
            if self._talk.memory is not None:
                body["memory"] = self._talk.memory
        headers = {"Idempotency-Key": turn.key}
        if path == "/":
            headers["Prefer"] = "wait=10"
        async for answer in self._answers("POST", path, json=body, headers=headers):
            assert answer.headers.get("content-type", "").endswith("json"), _told(answer)
            said = answer.json()
            if answer.status_code == 404:
                raise Gone
            if said.get("code") == "outcome_unknown":
                turn.maybe_accepted_as.add(said["job"])
                continue
            if "job" not in said:
                continue
            turn.accepted_as(said["job"])
            self._talk.id = said["id"]
            if answer.status_code == 200:
                turn.status = "completed"
                turn.replied(said)
            return

    async def _until_ended(self, turn: Turn) -> None:
        async for answer in self._answers("GET", f"/jobs/{turn.job}?wait=5"):
            if answer.status_code == 404:
                raise Gone
            if answer.status_code == 200 and answer.json()["status"] in TERMINAL:
                turn.ended(answer.json())
                return

    async def _delete_during(self, asking: "asyncio.Future[Any]") -> None:
        await asyncio.sleep(self._random.random() * 0.2)
        if self._talk.id is None:
            await asking
        self._talk.is_deleted = True
        async for answer in self._answers("DELETE", f"/conversations/{self._talk.id}"):
            if answer.status_code in (204, 404):
                return

    async def _answers(
        self, method: str, path: str, **request: Any
    ) -> AsyncIterator[httpx.Response]:
        """Ask again and again, anybody; whoever iterates stops when the answer is the one."""
        while True:
            try:
                async with asyncio.timeout(ANSWER_S):
                    answer = await self._http.request(method, self._any_url() + path, **request)
            except (httpx.TransportError, TimeoutError) as error:
                self._ledger.refused(type(error).__name__)
            else:
                if answer.status_code >= 400:
                    self._ledger.refused(_problem_of(answer))
                if answer.status_code < 400 or _is_json(answer):
                    yield answer
            await asyncio.sleep(PAUSE_S * (0.5 + self._random.random()))

    def _any_url(self) -> str:
        return self._random.choice(self._urls)


def _problem_of(answer: httpx.Response) -> str:
    """What a client is told that is refused; a server that stops may have no words for it."""
    if not _is_json(answer):
        return f"{answer.status_code} {answer.text[:40]}".strip()
    return str(answer.json().get("code", answer.status_code))


def _is_json(answer: httpx.Response) -> bool:
    return str(answer.headers.get("content-type", "")).endswith("json")


@asynccontextmanager
async def connections() -> AsyncIterator[httpx.AsyncClient]:
    """For as many clients as there are."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=200)
    async with httpx.AsyncClient(timeout=ANSWER_S, limits=limits) as http:
        yield http


def _told(answer: httpx.Response) -> str:
    return f"{answer.status_code} {answer.headers}: {answer.content[:500]!r}"


async def crowd(
    urls: Sequence[str],
    ledger: Ledger,
    *,
    seed: int,
    models: Sequence[str] = (),
    at_least: int,
    turns: int,
    at_once: int,
    is_over: Callable[[], bool],
) -> None:
    """One conversation after the other, some at a time: so many, and on until it is over."""
    room = asyncio.Semaphore(at_once)

    async def one(talk: Talk, http: httpx.AsyncClient) -> None:
        try:
            name = f"{seed} {talk.name}"
            await Client(http, urls, models, name, talk, ledger).converse(turns)
        finally:
            room.release()

    async with connections() as http, asyncio.TaskGroup() as group:
        while len(ledger.talks) < at_least or not is_over():
            await room.acquire()
            number = len(ledger.talks)
            talk = Talk(f"client-{number:05}", ledger.memories[number % len(ledger.memories)])
            ledger.talks.append(talk)
            group.create_task(one(talk, http))
