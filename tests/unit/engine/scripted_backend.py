"""A backend without a model: slots are lists, the next token a function of all that is in one.

A slot with a wrong token in it therefore draws other tokens from there on, so that comparing
replies with `reply_to` finds any mistake in the cache.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from worker.engine.backend import EvaluationFailed, NoRoom, NotFinite, Part, State, TokenSampler
from worker.engine.interface import EngineError, GenerationRequest, Grammar, Piece, SamplingOptions

END = 0
POISON = 99_999
"""A token behind which nothing is a number."""
BYTES_PER_TOKEN = 10

Fault = Callable[[Sequence[Part]], EngineError | None]


def next_token(content: Sequence[int]) -> int:
    """What is drawn behind a slot's content; now and then the end."""
    mixed = 7
    for token in content:
        mixed = (mixed * 31 + token + 1) % 1_000_003
    return mixed % 97


def reply_to(request: GenerationRequest) -> list[int]:
    """The whole reply that a request alone gets, what was emitted included."""
    content, reply = [*request.prompt, *request.generated], list(request.generated)
    while len(reply) < request.max_tokens and (token := next_token(content)) != END:
        reply.append(token)
        content.append(token)
    return reply


class Silent:
    """A sampler: `next_token` decides."""

    logprob = None

    def __init__(self) -> None:
        self.is_closed = False
        self.accepted: list[int] = []
        self.forced: list[int] = []
        self.grammars: list[Grammar | None] = []

    def accept(self, token: int) -> None:
        self.accepted.append(token)

    def force(self, token_ids: Sequence[int]) -> None:
        self.forced += token_ids

    def constrain(self, grammar: Grammar | None) -> None:
        self.grammars.append(grammar)

    def close(self) -> None:
        assert not self.is_closed, "freed twice"
        self.is_closed = True


class ScriptedBackend:
    """See the module.

    Args:
        cells: tokens that fit into all slots together, as in a unified KV cache.
        can_truncate: false for what a recurrent model does.
    """

    native_s = 0.0

    def __init__(
        self,
        num_slots: int = 4,
        slot_size: int = 500,
        *,
        batch_size: int = 64,
        packed: bool = True,
        cells: int | None = None,
        can_truncate: bool = True,
        copies_fast: bool = False,
        window: int = 0,
    ) -> None:
        self.num_slots, self.slot_size = num_slots, slot_size
        self.batch_size, self.packed = batch_size, packed
        self.copies_fast = copies_fast
        self.window = window
        self.firsts = [0] * num_slots
        self.content: list[list[int]] = [[] for _ in range(num_slots)]
        self.spoilt: set[int] = set()
        """Slots whose buffers hold what is no number, also where nothing looks at."""
        self.steps: list[list[Part]] = []
        self.samplers: list[Silent] = []
        self.num_saved = self.num_loaded = self.num_copied = 0
        self.fault: Fault = lambda _: None
        self._cells = num_slots * slot_size if cells is None else cells
        self.can_truncate = can_truncate
        self._outputs: list[tuple[int, int]] = []
        """Slot of each, and the length behind which a token is drawn."""

    def piece_of(self, token: int) -> bytes:
        return bytes([65 + token % 26])

    def text_of_control(self, token: int) -> str:
        return "<end>" if token == END else ""

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        assert special
        return [ord(character) - 65 for character in text]

    def is_end(self, token: int) -> bool:
        return token == END

    def make_sampler(self, options: SamplingOptions) -> TokenSampler:
        if options.temperature > 1:
            raise EngineError("too hot")
        self.samplers.append(Silent())
        return self.samplers[-1]

    def evaluate(self, parts: Sequence[Part]) -> None:
        count = sum(len(part.token_ids) for part in parts)
        assert 0 < count <= self.batch_size
        assert len({part.slot_id for part in parts}) == len(parts)
        for part in parts:
            assert part.start == len(self.content[part.slot_id]), "a gap or an overlap in a slot"
            assert part.token_ids
            seen = part.start - self.window + 1
            assert self.firsts[part.slot_id] <= max(0, seen), "the window looks at what is missing"
        if sum(map(len, self.content)) + count > self._cells:
            raise NoRoom("full")
        error = self.fault(parts)
        if error is not None:
            if isinstance(error, EvaluationFailed):
                # As llama.cpp does: some of it was processed.
                self.content[parts[0].slot_id] += parts[0].token_ids
            raise error
        for part in parts:
            self.content[part.slot_id] += part.token_ids
            self._spoil(part.slot_id)
        self.steps.append(list(parts))
        self._outputs = [
            (part.slot_id, len(self.content[part.slot_id]) - behind)
            for part in parts
            for behind in reversed(range(part.num_outputs))
        ]

    def draw(
        self, samplers: Sequence[TokenSampler], outputs: Sequence[int] | None = None
    ) -> list[int | EngineError]:
        if outputs is None:
            outputs = range(len(self._outputs))
        return [
            self._drawn(*self._outputs[output], sampler)
            for output, sampler in zip(outputs, samplers, strict=True)
        ]

    def _drawn(self, slot_id: int, length: int, sampler: TokenSampler) -> int | EngineError:
        assert isinstance(sampler, Silent)
        assert not sampler.is_closed
        if slot_id in self.spoilt:
            return NotFinite("no number")
        if sampler.forced:
            return sampler.forced.pop(0)
        return next_token(self.content[slot_id][:length])

    def save(self, slot_id: int) -> State:
        self.num_saved += 1
        content = self.content[slot_id]
        first = self.firsts[slot_id]
        if self.window:
            first = max(first, len(content) - self.window)
        return b"".join(token.to_bytes(BYTES_PER_TOKEN) for token in (*content, first))

    def load(self, slot_id: int, state: State) -> bool:
        assert isinstance(state, bytes)
        self.num_loaded += 1
        *self.content[slot_id], self.firsts[slot_id] = (
            int.from_bytes(state[at : at + BYTES_PER_TOKEN])
            for at in range(0, len(state), BYTES_PER_TOKEN)
        )
        self._spoil(slot_id)
        return True

    def _spoil(self, slot_id: int) -> None:
        if POISON in self.content[slot_id]:
            self.spoilt.add(slot_id)

    def first(self, slot_id: int) -> int:
        return self.firsts[slot_id]

    def copy(self, source: int, target: int) -> bool:
        assert not self.content[target], "a slot is copied over another's content"
        self.num_copied += 1
        self.content[target] = list(self.content[source])
        self.firsts[target] = self.firsts[source]
        self.spoilt |= {target} if source in self.spoilt else set()
        return True

    def truncate(self, slot_id: int, length: int) -> bool:
        if not self.can_truncate and length < len(self.content[slot_id]):
            return False
        del self.content[slot_id][length:]
        return True

    def clear(self, slot_id: int) -> None:
        self.content[slot_id].clear()
        self.firsts[slot_id] = 0

    def wipe(self) -> None:
        for slot_id in range(self.num_slots):
            self.clear(slot_id)
        self.spoilt.clear()

    @property
    def evaluated(self) -> int:
        """Tokens evaluated so far."""
        return sum(len(part.token_ids) for step in self.steps for part in step)

    @property
    def widths(self) -> list[int]:
        """How many slots each step had."""
        return [len(step) for step in self.steps]


@dataclass
class Received:
    """What came out of one request."""

    request: GenerationRequest
    pieces: list[Piece] = field(default_factory=list)
    error: EngineError | None = None

    def __call__(self, item: Piece | EngineError) -> None:
        assert not self.has_ended, "something came behind the end"
        if isinstance(item, EngineError):
            self.error = item
        else:
            self.pieces.append(item)

    @property
    def has_ended(self) -> bool:
        return self.error is not None or bool(self.pieces and self.pieces[-1].end)

    @property
    def token_ids(self) -> list[int]:
        """The whole reply, what was emitted before included."""
        return [*self.request.generated, *(i for piece in self.pieces for i in piece.token_ids)]

    @property
    def reason(self) -> str | None:
        """Why the reply ended; None if it has not."""
        end = self.pieces[-1].end if self.pieces else None
        return end.reason if end is not None else None

    @property
    def num_cached(self) -> int:
        end = self.pieces[-1].end
        assert end is not None
        return end.cached_tokens
