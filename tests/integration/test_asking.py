"""One way to a reply for every dialect: what it subscribes to, and what it gives back."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import falcon.asgi
import httpx
import orjson
import pytest
from falcon import testing
from falcon.asgi import SSEvent
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from api.live.asking import Asking
from api.live.feed import EventFeed
from api.live.headroom import Headroom
from api.live.stream import ReleasingStream
from shared import ids
from shared.cells import Cells
from shared.config import Settings
from shared.id_source import IdSource
from shared.process.tasks import Background
from shared.store.connection import connect
from shared.store.event_log import EventLog
from shared.store.keys import Keys
from shared.store.replicas import Replicas
from shared.store.submissions import Submissions
from shared.wire.sampling import Sampling
from shared.wire.submission import Accepted, Submission
from shared.wire.turn_request import TurnRequest
from shared.wire.write_outcome import WriteOutcome
from tests.integration.bench import Bench
from tests.scripted import ScriptedEngine, failing
from tests.servers import running_stack

COMPLETION = {"model": "any", "messages": [{"role": "user", "content": "?"}], "stream": True}
STREAMS = [
    ("/v1/chat/completions", COMPLETION),
    ("/v1/responses", {"input": "?", "stream": True}),
    ("/v1/responses", {"input": "?", "stream": True, "store": False}),
]


@pytest.fixture
def channels(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every channel that was subscribed to in this process, as often as it was."""
    subscribed: list[str] = []
    subscribe = PubSub.subscribe

    async def counting(pubsub: PubSub, *names: str) -> None:
        subscribed.extend(names)
        await subscribe(pubsub, *names)

    monkeypatch.setattr(PubSub, "subscribe", counting)
    return subscribed


@pytest.mark.parametrize(("path", "body"), STREAMS)
async def test_a_stream_subscribes_once(
    settings: Settings, keys: Keys, channels: list[str], path: str, body: dict[str, Any]
) -> None:
    async with running_stack(settings, ScriptedEngine(piece_length=3)) as stack:
        answer = await stack.client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    doorbells = [name for name in channels if name.startswith(keys.doorbell(""))]
    assert len(doorbells) == 1


@pytest.mark.parametrize(("path", "body"), STREAMS)
async def test_a_stream_of_a_turn_that_fails_at_once_keeps_no_subscription(
    settings: Settings, redis: Redis, keys: Keys, path: str, body: dict[str, Any]
) -> None:
    async with running_stack(settings, ScriptedEngine(failing)) as stack:
        answer = await stack.client.post(path, json=body)
        async with asyncio.timeout(10):
            while await redis.pubsub_channels(keys.doorbell("*")):
                await asyncio.sleep(0.01)
    assert answer.status_code == 500
    assert answer.headers["content-type"].startswith("application/json")


async def test_pieces_that_came_before_the_stream_opened_are_in_it(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine(piece_length=1)) as stack:
        answer = await stack.client.post("/v1/chat/completions", json=COMPLETION)
    assert text_of(answer) == "You said: ?"


def text_of(answer: httpx.Response) -> str:
    chunks = answer.text.split("\n\n")
    data = [chunk.removeprefix("data: ") for chunk in chunks if chunk.startswith("data: {")]
    pieces = [orjson.loads(piece)["choices"][0]["delta"] for piece in data]
    return "".join(piece.get("content", "") for piece in pieces)


async def events() -> AsyncGenerator[SSEvent | None, None]:
    yield SSEvent(data=b"1")
    yield SSEvent(data=b"2")


@pytest.mark.parametrize("read", [0, 1])
async def test_a_stream_gives_back_what_it_holds_however_little_of_it_was_read(read: int) -> None:
    given_back: list[str] = []
    held = contextlib.AsyncExitStack()
    held.callback(given_back.append, "all of it")
    stream = ReleasingStream(events(), held)
    for _ in range(read):
        await anext(stream)
    await stream.aclose()
    await stream.aclose()
    assert given_back == ["all of it"]


class Overturning(Submissions):
    """After each prompt the other model counts as the one that was there first."""

    def __init__(self, redis: Redis, keys: Keys, settings: Settings) -> None:
        super().__init__(redis, keys, settings)
        self._other_redis: Any = redis
        self._about = keys.pool

    async def submit(self, submission: Submission) -> Accepted | None:
        accepted = await super().submit(submission)
        assert accepted is not None
        await self._other_redis.hset(self._about(accepted.model_name), "since", 1 << 50)
        return accepted


@contextlib.asynccontextmanager
async def asking_over(settings: Settings, submissions: Submissions) -> AsyncIterator[Asking]:
    """The service that all dialects share, around other submissions."""
    keys, background = Keys(settings.namespace), Background()
    async with connect(settings) as redis:
        replicas = Replicas(redis, keys, settings.replicas)
        events = EventLog(redis, keys, replicas)
        feed = EventFeed(redis, keys, events)
        feed.start(background)
        headroom, id_source = Headroom(redis, keys), IdSource(Cells(settings), ())
        yield Asking(settings, submissions, events, feed, headroom, replicas, id_source)
        await background.close()
        await feed.close()


def submission(api_id: str) -> Submission:
    return Submission(
        job_id=ids.new_job(),
        conversation_id=ids.new_conversation(),
        owner_id="default",
        new=True,
        instructions="",
        request=TurnRequest(prompt="Hi", context=None, replace_from=None, sampling=Sampling()),
        api_id=api_id,
    )


async def test_all_turns_of_a_request_go_to_one_model(settings: Settings, bench: Bench) -> None:
    await bench.serve("w2", pool="another")
    submissions = Overturning(bench.redis, bench.keys, settings)
    async with asking_over(settings, submissions) as asking:
        turns = [submission(asking.api_id) for _ in range(3)]
        request, response = testing.create_asgi_req(), falcon.asgi.Response()
        waiting = asyncio.create_task(asking.wait_together(turns, request, response))
        for turn in turns:
            async with asyncio.timeout(10):
                while await submissions.cancel(turn.job_id, turn.owner_id) is WriteOutcome.GONE:
                    await asyncio.sleep(0.01)
        results = await waiting
    assert len({result.accepted.model_name for result in results}) == 1
