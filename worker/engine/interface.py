"""What a worker needs from an engine: plain values in, pieces of text with their token ids out.

The engine knows nothing of Redis, jobs or HTTP. `LlamaEngine` runs llama.cpp; tests script their
own.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from worker.engine.stats import EngineStats

Role = Literal["system", "user", "assistant"]
FinishReason = Literal["stop", "length"]


class EngineError(Exception):
    """A generation failed; the engine continues with the others."""


class UnusableRequest(EngineError):
    """No worker can do what is requested: an impossible schema, a token that does not exist."""


@dataclass(frozen=True, slots=True)
class PromptMessage:
    """A message of a prompt as token ids of its content, without the template's scaffold."""

    role: Role
    token_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """How tokens are drawn; the defaults are llama.cpp's. `temperature` 0 is greedy.

    `seed` None draws a random one. `repeat_penalty` and the other two look at the last 64 tokens.
    `json_schema`, as JSON text, is what the reply must follow; `logit_bias` is added to the logits
    of tokens.
    """

    temperature: float = 0.8
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    typical_p: float = 1.0
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None
    ignore_eos: bool = False
    json_schema: str | None = None
    logit_bias: tuple[tuple[int, float], ...] = ()


@dataclass(slots=True)
class Meter:
    """The prompt's tokens that an engine has evaluated so far; cached ones were not."""

    evaluated: int = 0


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One reply to generate.

    Args:
        session: the conversation; engines keep what they computed for it.
        prompt: token ids, scaffold included, up to where the reply begins.
        generated: ids of the reply that earlier attempts have generated.
        max_tokens: length of the whole reply in tokens, `generated` included.
        stop: strings that end the reply and do not belong to it.
        alone_until: nothing else is evaluated until the reply has this many tokens.
        meter: counts what the prompt costs, also if the reply is never finished.
    """

    session: str
    prompt: tuple[int, ...]
    max_tokens: int
    generated: tuple[int, ...] = ()
    stop: tuple[str, ...] = ()
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    alone_until: int = 0
    meter: Meter = field(default_factory=Meter, compare=False)


@dataclass(frozen=True, slots=True)
class End:
    """How a generation ended and what it cost.

    `cached_tokens` of the prompt were not evaluated; times are in milliseconds.
    """

    reason: FinishReason
    cached_tokens: int
    prompt_ms: float
    generation_ms: float


@dataclass(frozen=True, slots=True)
class Piece:
    """Some text and the token ids that decode to it.

    Pieces never split a character. The last one has an `end`; cut at a stop string, its text may
    be shorter than its ids.
    """

    text: str
    token_ids: tuple[int, ...]
    end: End | None = None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The model an engine runs. `fingerprint` changes with anything that changes token ids."""

    name: str
    fingerprint: str


class Engine(Protocol):
    """A model, ready to tokenize and to generate."""

    @property
    def model(self) -> ModelInfo: ...

    @property
    def slots(self) -> int:
        """How many generations run together."""
        ...

    @property
    def window(self) -> int:
        """Tokens of prompt and reply together, at most."""
        ...

    @property
    def progress(self) -> int:
        """Grows while the engine makes progress, also within a long step."""
        ...

    def stuck_for(self) -> float:
        """Seconds by which the current step exceeds what a healthy one takes; 0 if it does not.

        Must be called at every heartbeat: that is what lets `progress` grow within a step.
        """
        ...

    def tokenize(self, text: str) -> list[int]:
        """Token ids of a message's content; text never becomes a control token."""
        ...

    def detokenize(self, token_ids: Sequence[int]) -> str:
        """The text of some tokens."""
        ...

    def render(self, messages: Sequence[PromptMessage]) -> list[int]:
        """The whole prompt: contents within the chat template's scaffold, ready for a reply.

        Raises:
            UnusableRequest: the template has no place for messages in this order.
        """
        ...

    def generate(self, request: GenerationRequest) -> AsyncGenerator[Piece, None]:
        """The reply, piece by piece; closing the generator cancels it.

        Raises:
            EngineError: this generation failed.
        """
        ...

    def warm(self, session: str, token_ids: Sequence[int]) -> None:
        """Evaluate what a conversation's next prompt will begin with, when there is time for it.

        Real work comes first at any moment; what was evaluated until then stays.
        """
        ...

    def stats(self) -> EngineStats:
        """What it did, and how it is."""
        ...

    async def close(self) -> None:
        """Free the model; running generations fail."""
        ...
