"""Clients that keep their conversations themselves, on two workers with the real model."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.e2e.processes import Palaver, running_palaver

CLIENTS = 3
"""An odd number: in rotation over two workers each would change its worker with every turn."""
TURNS = 3
WORTH = 0.97
"""Share of what a client has sent or got before that is not evaluated again. A reply that is sent
back as text may be tokenized otherwise than it was drawn, and costs from there on; the likeliest
tokens, which are asked for here, rarely are."""


@pytest.fixture(scope="module")
def palaver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Palaver]:
    folder = tmp_path_factory.mktemp("homes")
    with running_palaver(folder, workers=2, PALAVER_CONTEXT_LENGTH="1500") as palaver:
        yield palaver


@dataclass
class Talk:
    """One client's conversation; each turn sends all of it."""

    name: str
    http: httpx.Client
    sent: list[dict[str, Any]] = field(default_factory=list)
    total: int = 0
    """Tokens of the last turn, prompt and reply."""
    sent_again: int = 0
    """Tokens that were part of an earlier turn, of all turns together."""
    cached: int = 0
    """How many of these were not evaluated again."""

    def count(self, cached: int, total: int) -> None:
        self.sent_again += self.total
        self.cached += min(cached, self.total)
        self.total = total

    def say(self, text: str) -> None:
        raise NotImplementedError


class Completions(Talk):
    def say(self, text: str) -> None:
        self.sent.append({"role": "user", "content": text})
        body = {"model": "any", "messages": self.sent, "max_tokens": 40, "temperature": 0}
        answer = self.http.post("/v1/chat/completions", json=body).json()
        self.sent.append(answer["choices"][0]["message"])
        usage = answer["usage"]
        self.count(usage["prompt_tokens_details"]["cached_tokens"], usage["total_tokens"])


class Messages(Talk):
    def say(self, text: str) -> None:
        self.sent.append({"role": "user", "content": text})
        body = {"model": "any", "messages": self.sent, "max_tokens": 40, "temperature": 0}
        answer = self.http.post("/v1/messages", json=body).json()
        self.sent.append({"role": "assistant", "content": answer["content"]})
        usage = answer["usage"]
        cached = usage["cache_read_input_tokens"]
        self.count(cached, cached + usage["input_tokens"] + usage["output_tokens"])


class Responses(Talk):
    def say(self, text: str) -> None:
        self.sent.append({"role": "user", "content": text})
        body = {"model": "any", "input": self.sent, "store": False, "max_output_tokens": 40}
        body["temperature"] = 0
        answer = self.http.post("/v1/responses", json=body).json()
        self.sent += answer["output"]
        usage = answer["usage"]
        self.count(usage["input_tokens_details"]["cached_tokens"], usage["total_tokens"])


@pytest.mark.parametrize("kind", [Completions, Messages, Responses])
def test_nothing_that_a_client_sends_again_is_evaluated_again(
    palaver: Palaver, kind: type[Talk]
) -> None:
    with palaver.client() as http:
        talks = [kind(f"{kind.__name__} {number}", http) for number in range(CLIENTS)]
        for turn in range(TURNS):
            for talk in talks:
                talk.say(f"I am {talk.name}. Tell me story number {turn + 1} about my boat.")
    sent_again = sum(talk.sent_again for talk in talks)
    assert sent_again > CLIENTS * TURNS * 40
    assert sum(talk.cached for talk in talks) >= WORTH * sent_again
