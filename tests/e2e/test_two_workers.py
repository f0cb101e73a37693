"""Two real workers: conversations find their tokens where they were."""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis

from shared.store.keys import Keys
from tests.e2e.processes import Palaver, running_palaver

KEYS = Keys("palaver")
CONVERSATIONS = 5
"""An odd number: with an even one, workers that take turns would get the same ones again."""
TURNS = 3
REPLY = 6
"""Tokens, always."""


@pytest.fixture(scope="module")
def palaver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Palaver]:
    folder: Path = tmp_path_factory.mktemp("palaver")
    with running_palaver(folder, workers=2, PALAVER_THREADS="1", PALAVER_LEASE="2") as palaver:
        yield palaver


@pytest.fixture
def visitor(palaver: Palaver) -> Iterator["Visitor"]:
    with (
        palaver.client() as client,
        Redis.from_url(palaver.redis_url, decode_responses=True) as redis,
    ):
        yield Visitor(client, redis)


@dataclass(frozen=True, kw_only=True)
class Turn:
    """Where a turn ran, and what was counted."""

    home: str
    cached: int
    total: int


@dataclass
class Conversation:
    """One that goes on."""

    name: int
    id: int | None = None
    turns: list[Turn] = field(default_factory=list)

    @property
    def home(self) -> str:
        return self.turns[-1].home


@dataclass(frozen=True)
class Visitor:
    """Asks, and looks up where the answer came from."""

    client: httpx.Client
    redis: Any

    def go_on(self, conversation: Conversation, **fields: Any) -> Turn:
        """The next turn of a conversation."""
        name, number = conversation.name, len(conversation.turns)
        answer = self.ask(
            {
                "prompt": f"What about {name} and {number}?",
                **({"id": conversation.id} if conversation.id else {"context": f"{name} it is."}),
                **fields,
            }
        )
        conversation.id = answer["id"]
        conversation.turns.append(
            Turn(
                home=self.redis.hget(KEYS.conversation(str(answer["id"])), "home"),
                cached=answer["usage"]["prompt_tokens_details"]["cached_tokens"],
                total=answer["usage"]["total_tokens"],
            )
        )
        return conversation.turns[-1]

    def ask(self, body: dict[str, Any]) -> dict[str, Any]:
        options = {"max_tokens": REPLY, "temperature": 0, "ignore_eos": True}
        response = self.client.post("/", json=options | body)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer


def started(visitor: Visitor, *names: int) -> list[Conversation]:
    """Conversations with all their turns, which were asked in rotation."""
    conversations = [Conversation(name) for name in names]
    for _ in range(TURNS):
        for conversation in conversations:
            visitor.go_on(conversation)
    return conversations


def test_conversations_in_rotation_go_on_at_home_and_find_what_one_worker_would_have(
    visitor: Visitor,
) -> None:
    conversations = started(visitor, *range(CONVERSATIONS))
    for turns in (conversation.turns for conversation in conversations):
        assert {turn.home for turn in turns} == {turns[0].home}
        # All but the token that was drawn last: nothing came behind it.
        assert [turn.cached for turn in turns[1:]] == [turn.total - 1 for turn in turns[:-1]]
    assert len({conversation.home for conversation in conversations}) == 2


def test_an_edit_goes_home_and_finds_what_stands_before_it(visitor: Visitor) -> None:
    for conversation in started(visitor, *range(10, 10 + CONVERSATIONS)):
        kept, home = conversation.turns[0], conversation.home
        edited = visitor.go_on(conversation, replace_from=3)
        assert edited.home == home
        assert edited.cached >= kept.total - 1


def respond(visitor: Visitor, prompt: str, previous: str | None = None) -> tuple[str, str, Any]:
    """A response's id, its home and its usage."""
    body = {"input": prompt, "max_output_tokens": 16, "temperature": 0}
    body |= {"previous_response_id": previous} if previous else {}
    response = visitor.client.post("/v1/responses", json=body).json()
    job = response["id"].removeprefix("resp_")
    conversation = visitor.redis.hget(KEYS.job(job), "conversation")
    home = visitor.redis.hget(KEYS.conversation(conversation), "home")
    return response["id"], home, response["usage"]


def test_a_fork_goes_where_its_beginning_is(visitor: Visitor) -> None:
    for name in range(CONVERSATIONS):
        root, home, usage = respond(visitor, f"Tell me about the number {name}, and about ships.")
        respond(visitor, "And what came before it?", root)
        _, forks_home, forks_usage = respond(visitor, "And what comes after it?", root)
        assert forks_home == home
        cached = forks_usage["input_tokens_details"]["cached_tokens"]
        assert cached >= usage["total_tokens"] - 2


def test_a_conversation_whose_home_is_killed_goes_on_at_the_other_one(visitor: Visitor) -> None:
    conversations = started(visitor, *range(20, 20 + CONVERSATIONS))
    killed = conversations[0].home
    os.kill(int(killed.split(":")[1]), signal.SIGKILL)
    for conversation in conversations:
        before = conversation.home
        turn = visitor.go_on(conversation)
        assert turn.home != killed
        assert (turn.home == before) is (before != killed)
        again = visitor.go_on(conversation)
        assert again.cached == turn.total - 1
