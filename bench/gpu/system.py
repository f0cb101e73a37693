"""The whole system under users who stream: API, embedded Valkey, one worker."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from bench.comparison.http import post_events
from bench.comparison.text import Author
from bench.gpu.profiles import Profile
from tests.e2e.processes import running_palaver

TURNS: Final = 2


@dataclass(kw_only=True)
class Reply:
    """What a user saw of one turn; seconds."""

    first_s: float
    gaps_s: list[float] = field(default_factory=list)
    tokens: int = 0
    cached: int = 0
    prompt: int = 0


def play_system(model: Path, profile: Profile) -> Iterator[dict[str, Any]]:
    """Figures of each turn of `profile.users` conversations that are held at once."""
    with (
        tempfile.TemporaryDirectory(prefix="palaver-gpu-system-") as folder,
        running_palaver(
            Path(folder),
            PALAVER_MODEL_PATH=str(model),
            PALAVER_CONTEXT_LENGTH=str(2 * profile.context + 4 * profile.reply_tokens),
            PALAVER_SLOTS=str(profile.users),
        ) as palaver,
    ):
        users = [User(palaver.port, number, profile) for number in range(profile.users)]
        for turn in range(1, TURNS + 1):
            yield {"turn": turn, **asyncio.run(play_turn(users))}


async def play_turn(users: "list[User]") -> dict[str, Any]:
    """All users say something at the same moment."""
    began = time.perf_counter()
    replies = await asyncio.gather(*(user.say() for user in users))
    wall_s = time.perf_counter() - began
    firsts = sorted(reply.first_s * 1000 for reply in replies)
    gaps = [gap * 1000 for reply in replies for gap in reply.gaps_s]
    return {
        "users": len(users),
        "prompt_tokens": sum(reply.prompt for reply in replies),
        "cached_tokens": sum(reply.cached for reply in replies),
        "reply_tok_s": sum(reply.tokens for reply in replies) / wall_s,
        "first_token_ms": (statistics.median(firsts), firsts[0], firsts[-1]),
        "gap_ms": (statistics.median(gaps), min(gaps), max(gaps)),
    }


class User:
    """One conversation; its prompts are about as long as the profile's context."""

    def __init__(self, port: int, number: int, profile: Profile) -> None:
        self._port = port
        self._author = Author(f"user {number}")
        self._profile = profile
        self._which: dict[str, str] = {"context": self._author.persona()[: profile.context // 4]}

    async def say(self) -> Reply:
        # A token is a byte in the random model's vocabulary, mostly.
        prompt = self._author.document(self._profile.context)[: self._profile.context // 2]
        body = {
            **self._which,
            "prompt": prompt,
            "max_tokens": self._profile.reply_tokens,
            "ignore_eos": True,
        }
        sent = last = time.perf_counter()
        reply = Reply(first_s=0.0)
        async for event in post_events(self._port, "/", body):
            if event.name == "token":
                now = time.perf_counter()
                if reply.first_s == 0.0:
                    reply.first_s = now - sent
                else:
                    reply.gaps_s.append(now - last)
                last = now
            elif event.name == "completed":
                told = orjson.loads(event.data)
                self._which = {"id": told["id"]}
                usage = told["usage"]
                reply.tokens, reply.prompt = usage["completion_tokens"], usage["prompt_tokens"]
                reply.cached = usage["prompt_tokens_details"]["cached_tokens"]
            elif event.name == "failed":
                raise RuntimeError(event.data)
        return reply
