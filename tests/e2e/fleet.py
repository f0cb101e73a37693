"""Workers' batchers on a tiny model, conversations that live on them, and a judge of every token.

The judge evaluates exactly what a token was drawn behind, in a slot that was empty before.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from worker.engine.backend import Part
from worker.engine.batcher import Batcher
from worker.engine.interface import EngineError, GenerationRequest, Piece, SamplingOptions
from worker.engine.model import LlamaModel
from worker.engine.options import KvType, ModelOptions
from worker.engine.pacer import PrefillPacer
from worker.engine.sequence import Sequence as Generation

GREEDY: Final = SamplingOptions(temperature=0, ignore_eos=True)
_TOKENS: Final = range(3, 259)
_FULL: Final = 0.8
"""Share of a window from which on its oldest turns are dropped."""
_DROPPED: Final = 0.3
"""Share of the window that these are."""


class _Chunks(PrefillPacer):
    """Chunks of seeded sizes: those that are learnt depend on how fast a machine is today."""

    def __init__(self, largest: int, rng: random.Random) -> None:
        super().__init__(largest, 2.0)
        self._rng = rng

    def size(self, *, alongside_decodes: bool) -> int:
        return self._rng.choice((17, 32, 64, 200))


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """Of a conversation's window, and of what it consists of, in tokens."""

    window: int = 400
    persona: int = 90
    prompt: tuple[int, int] = (4, 30)
    reply: int = 10


LENGTHS: Final = Lengths()


@dataclass(frozen=True, kw_only=True)
class Cache:
    """What the KV cache holds, how it is read and copied (`ModelOptions`)."""

    kv_type: KvType = "f16"
    flash_attention: bool | None = None
    device_copies: bool | None = None


USUAL: Final = Cache()


@dataclass(frozen=True)
class Drawn:
    """Tokens that were drawn behind others."""

    before: tuple[int, ...]
    token_ids: list[int]


@dataclass
class Talk:
    """A turn under way."""

    session: str
    request: GenerationRequest
    worker: int
    token_ids: list[int] = field(default_factory=list)
    generation: Generation | None = None
    has_ended: bool = False
    error: EngineError | None = None

    def take(self, item: Piece | EngineError) -> None:
        if isinstance(item, EngineError):
            self.error, self.has_ended = item, True
            return
        self.token_ids.extend(item.token_ids)
        self.has_ended = item.end is not None

    @property
    def drawn(self) -> Drawn:
        return Drawn((*self.request.prompt, *self.request.generated), self.token_ids)


class Fleet:
    """Conversations on some workers, each with its history.

    Args:
        slots: of each worker.
        workers: how many there are; who is not alone lets conversations move between them.
        personas: how many there are; conversations begin with them, taking turns.
    """

    def __init__(
        self,
        path: Path,
        rng: random.Random,
        *,
        slots: int = 3,
        workers: int = 1,
        personas: int = 2,
        lengths: Lengths = LENGTHS,
        swap_bytes: int = 1 << 24,
        cache: Cache = USUAL,
    ) -> None:
        options = ModelOptions(
            path,
            lengths.window,
            threads=1,
            slots=slots,
            device_copies=cache.device_copies,
            kv_type=cache.kv_type,
            flash_attention=cache.flash_attention,
        )
        self.models = [LlamaModel(options) for _ in range(workers)]
        self.batchers = [
            Batcher(model, _Chunks(model.batch_size, rng), swap_bytes=swap_bytes)
            for model in self.models
        ]
        self.personas = [self._words(random.Random(n), lengths.persona) for n in range(personas)]
        self.histories: dict[str, tuple[int, ...]] = {}
        self.prompts: dict[str, tuple[int, ...]] = {}
        self.last_starts: dict[str, int] = {}
        self.homes: dict[str, int] = {}
        self.drawn: list[Drawn] = []
        self.rng = rng
        self._lengths = lengths

    def _words(self, rng: random.Random, count: int) -> tuple[int, ...]:
        return tuple(rng.choices(_TOKENS, k=count))

    def persona(self, session: str) -> tuple[int, ...]:
        return self.personas[int(session) % len(self.personas)]

    def next_prompt(self, session: str, cut: int = 0) -> tuple[int, ...]:
        """The conversation so far and new words; an edit cuts some of it off, a window its oldest.

        Args:
            cut: tokens at the end that the new words replace.
        """
        persona = self.persona(session)
        history = self.histories.get(session, persona)
        history = history[: max(len(persona), len(history) - cut)]
        return (
            *self.trimmed(session, history),
            *self._words(self.rng, self.rng.randint(*self._lengths.prompt)),
        )

    def last_turn(self, session: str) -> int:
        """Length of the newest words and their reply: what an edit of them cuts off."""
        return len(self.histories.get(session, ())) - self.last_starts.get(session, 0)

    def trimmed(self, session: str, history: tuple[int, ...]) -> tuple[int, ...]:
        """A history without its oldest turns, if there is no room for them."""
        persona, window = self.persona(session), self._lengths.window
        if len(history) <= _FULL * window:
            return history
        return persona + history[len(persona) + int(_DROPPED * window) :]

    def submit(self, session: str, prompt: tuple[int, ...], emitted: Sequence[int] = ()) -> Talk:
        worker = self.homes.setdefault(session, self.rng.randrange(len(self.batchers)))
        request = GenerationRequest(
            session, prompt, self._lengths.reply, tuple(emitted), sampling=GREEDY
        )
        talk = Talk(session, request, worker)
        talk.generation = self.batchers[worker].submit(request, talk.take)
        return talk

    def step(self, times: int = 1) -> None:
        for _ in range(times):
            for batcher in self.batchers:
                if batcher.has_work:
                    batcher.step()

    def finish(self, talks: Sequence[Talk]) -> None:
        """Let them come to their ends; their conversations remember them."""
        while not all(talk.has_ended for talk in talks):
            self.step()
        for talk in talks:
            assert talk.error is None, talk.error
            self.drawn.append(talk.drawn)
            self.prompts[talk.session] = talk.request.prompt
            self.histories[talk.session] = (*talk.drawn.before, *talk.token_ids)

    def leave(self, talk: Talk) -> None:
        """A turn is cancelled; what it drew until then counts."""
        if talk.generation is not None:
            talk.generation.cancelled.set()
        self.step()
        self.drawn.append(talk.drawn)

    @property
    def cached_share(self) -> float:
        """Of all prompt tokens so far, those that were not evaluated."""
        stats = [batcher.stats() for batcher in self.batchers]
        cached, evaluated = sum(one.cached for one in stats), sum(one.evaluated for one in stats)
        return cached / (cached + evaluated)

    def move(self, session: str) -> None:
        """Another worker has it from now on."""
        self.homes[session] = self.rng.randrange(len(self.batchers))

    def close(self) -> None:
        for model in self.models:
            model.close()


def go_on_for(
    fleet: Fleet, sessions: Sequence[str], rounds: int, *, together: int = 3, edited: float = 0
) -> None:
    """Ordinary life: some conversations at a time go on, windows are evaluated ahead.

    Args:
        edited: share of turns that replace the one before.
    """
    for _ in range(rounds):
        talks = []
        for session in fleet.rng.sample(sessions, together):
            cut = fleet.last_turn(session) if fleet.rng.random() < edited else 0
            talks.append(fleet.submit(session, fleet.next_prompt(session, cut)))
            fleet.step(fleet.rng.randint(0, 3))
        fleet.finish(talks)
        for session in (talk.session for talk in talks):
            history = fleet.histories[session]
            if (ahead := fleet.trimmed(session, history)) is not history:
                fleet.batchers[fleet.homes[session]].warm(session, ahead)
        fleet.step(3)


class Judge:
    """Evaluates prompts alone, each in one go and in an empty slot."""

    def __init__(self, path: Path, lengths: Lengths = LENGTHS, cache: Cache = USUAL) -> None:
        options = ModelOptions(
            path,
            lengths.window,
            threads=1,
            kv_type=cache.kv_type,
            flash_attention=cache.flash_attention,
        )
        self._model = LlamaModel(options)
        self.num_tokens = 0

    def shortfalls(self, drawn: Drawn) -> list[float]:
        """By how much each drawn token's logit is below the best one's; 0 where it is the best."""
        model, found = self._model, []
        model.clear(0)
        start, tokens = 0, drawn.before
        for token in drawn.token_ids:
            model.evaluate([Part(0, start, tokens, True)])
            row = model.logits()[0].copy()
            row[model.vocabulary.eog_tokens] = -float("inf")
            found.append(float(row.max() - row[token]))
            start, tokens = start + len(tokens), (token,)
        self.num_tokens += len(found)
        return found

    def close(self) -> None:
        self._model.close()
