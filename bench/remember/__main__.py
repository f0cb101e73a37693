"""What of long conversations the model still sees when it is asked.

    python -m bench.remember [--seed N --conversations 200]

Conversations of 120 turns in five languages, made by the bench: facts are told in the first 45
turns, half of them corrected in the next 35, among small talk and facts about others (decoys). Each
is asked for after it has left the window of 3,500 tokens; an eighth of that may be quotes, a tenth
a summary. No model runs: prompts are made as a worker makes them, with the bundled model's
vocabulary and a real Valkey, and a fact counts if its latest version stands in the prompt.
Summaries are asked for as a worker does, and written by a script that keeps the eight statements
made last, the last one about each thing.
"""

import argparse
import asyncio
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from redis.asyncio import Redis

from bench.remember.conversations import Exchange, Talk
from bench.remember.languages import ENGLISH, LANGUAGES
from bench.remember.player import Player, Remembering, Shown, writer_of
from bench.tables import print_table
from shared.config import Settings
from shared.store.connection import connect
from tests.servers import make_settings, running_valkey
from worker.engine.model_file import without_weights
from worker.engine.vocabulary import ModelVocabulary
from worker.engine_setup import model_path
from worker.prompt.writer import PromptWriter

_MODES: Final[tuple[Remembering, ...]] = ("fifo", "summary", "recall", "both")
_LIVES: Final = 2
"""Conversations of each language that are played turn by turn."""
_LONG: Final = 500
"""Turns of the conversation whose times are taken."""
_TIMED: Final = 200
_QUESTION: Final = 5
"""In lives played turn by turn, each fifth prompt asks for a fact."""


@dataclass(kw_only=True)
class Tally:
    """What came of questions."""

    asked: int = 0
    held: int = 0
    corrected: int = 0
    corrected_held: int = 0
    added: list[int] = field(default_factory=list)

    @property
    def share(self) -> str:
        return f"{self.held / max(1, self.asked):.3f}"


@dataclass(frozen=True, kw_only=True)
class Bench:
    redis: Redis
    settings: Settings
    writer: PromptWriter
    seed: int

    def player(self, memory: Remembering) -> Player:
        return Player(self.redis, self.settings, self.writer, memory)

    async def questions(self, number: int, memory: Remembering) -> dict[str, Tally]:
        """Facts asked for at the end of conversations, by language."""
        tallies: dict[str, Tally] = defaultdict(Tally)
        for place in range(number):
            language = LANGUAGES[place % len(LANGUAGES)]
            conversation = Talk(language, f"{self.seed}-{place}").conversation()
            plain, player = self.player("fifo"), self.player(memory)
            for each in (plain, player):
                await each.begin(conversation.exchanges)
            tally = tallies[language.name]
            for question in conversation.questions:
                exchange = Exchange(prompt=question.prompt, reply=language.noted[0])
                in_view = (await plain.ask(exchange)).holds(question.value)
                shown = await player.ask(exchange)
                if not in_view:
                    _count(tally, shown, question.value, is_corrected=question.is_corrected)
        return tallies

    async def cached(self, memory: Remembering) -> tuple[float, float, float]:
        """Of all prompt tokens of some lives, those in the cache: after idle time, and at once.

        Also the median of a turn's share after idle time.
        """
        shown: list[Shown] = []
        for place in range(_LIVES * len(LANGUAGES)):
            shown += await self.life(place, memory)
        total = sum(len(each.prompt.token_ids) for each in shown)
        shares = [each.cached / len(each.prompt.token_ids) for each in shown]
        return (
            sum(each.cached for each in shown) / total,
            sum(each.cached_at_once for each in shown) / total,
            statistics.median(shares),
        )

    async def life(self, place: int, memory: Remembering) -> list[Shown]:
        """A conversation from its 60th turn on, turn by turn, with questions among the rest."""
        language = LANGUAGES[place % len(LANGUAGES)]
        conversation = Talk(language, f"{self.seed}-life-{place}").conversation()
        player = self.player(memory)
        await player.begin(conversation.exchanges[:60])
        shown = []
        for turn, exchange in enumerate(conversation.exchanges[60:]):
            if turn % _QUESTION == 0:
                question = conversation.questions[turn % len(conversation.questions)]
                exchange = Exchange(prompt=question.prompt, reply=exchange.reply)
            shown.append(await player.ask(exchange))
        return shown[1:]

    async def times(self) -> tuple[float, Sequence[float], int]:
        """Milliseconds for recall in a conversation of 1,000 messages: first, and later ones."""
        talk = Talk(ENGLISH, f"{self.seed}-long")
        conversation = talk.conversation(_LONG)
        player = self.player("both")
        await player.begin(conversation.exchanges)
        took = []
        for turn in range(_TIMED):
            question = conversation.questions[turn % len(conversation.questions)]
            exchange = talk.small_talk()
            if turn % 2:
                exchange = Exchange(prompt=question.prompt, reply=exchange.reply)
            took.append((await player.ask(exchange)).recall_ms)
        return took[0], took[1:], 2 * _LONG


def _count(tally: Tally, shown: Shown, value: str, *, is_corrected: bool) -> None:
    is_held = shown.holds(value)
    tally.asked += 1
    tally.held += is_held
    tally.corrected += is_corrected
    tally.corrected_held += is_corrected and is_held
    tally.added.append(shown.added)


async def run(bench: Bench, number: int) -> None:
    results = {mode: await bench.questions(number, mode) for mode in _MODES}
    rows = [
        _row(language.name, {mode: results[mode][language.name] for mode in _MODES})
        for language in LANGUAGES
    ]
    rows.append(_row("all", {mode: _sum([*results[mode].values()]) for mode in _MODES}))
    print_table(["facts", "asked", *_MODES, "corrected ones, both"], rows)
    print_table(
        ["", *_MODES],
        [
            ["tokens added (median)", *(f"{_added(results[mode]):.0f}" for mode in _MODES)],
        ],
    )
    cached = {mode: await bench.cached(mode) for mode in _MODES}
    print_table(
        ["cached share", "after idle time", "at once", "a turn's, after idle time (median)"],
        ([mode, *(f"{share:.3f}" for share in cached[mode])] for mode in _MODES),
    )
    first, later, messages = await bench.times()
    p95 = statistics.quantiles(later, n=20)[-1]
    print_table(
        ["recall, ms", f"first, of {messages:,} messages", "later (median)", "p95", "longest"],
        [["", *(f"{ms:.1f}" for ms in (first, statistics.median(later), p95, max(later)))]],
    )


def _added(tallies: Mapping[str, Tally]) -> float:
    return statistics.median(_sum([*tallies.values()]).added)


def _sum(tallies: Sequence[Tally]) -> Tally:
    return Tally(
        asked=sum(each.asked for each in tallies),
        held=sum(each.held for each in tallies),
        corrected=sum(each.corrected for each in tallies),
        corrected_held=sum(each.corrected_held for each in tallies),
        added=[tokens for each in tallies for tokens in each.added],
    )


def _row(name: str, tallies: dict[Remembering, Tally]) -> list[str]:
    both = tallies["both"]
    corrected = f"{both.corrected_held / max(1, both.corrected):.3f}"
    return [name, str(both.asked), *(tallies[mode].share for mode in _MODES), corrected]


async def _with_servers(seed: int, number: int) -> None:
    with running_valkey() as valkey:
        settings = make_settings(valkey.url)
        redis = connect(settings, max_connections=4)
        with without_weights(model_path(settings)) as model:
            writer = writer_of(ModelVocabulary(model))
            await run(Bench(redis=redis, settings=settings, writer=writer, seed=seed), number)
        await redis.aclose(close_connection_pool=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--conversations", type=int, default=200)
    arguments = parser.parse_args()
    asyncio.run(_with_servers(arguments.seed, arguments.conversations))


if __name__ == "__main__":
    main()
