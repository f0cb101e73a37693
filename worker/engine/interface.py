"""What a worker needs from an engine: plain values in, pieces of text with their token ids out.

The engine knows nothing of Redis, jobs or HTTP. `LlamaEngine` runs llama.cpp; tests script their
own.
"""

import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from worker.engine.dropped_sessions import DroppedSessions
from worker.engine.stats import EngineStats

FinishReason = Literal["stop", "length", "stopped"]
PartKind = Literal["text", "reasoning", "call"]


class EngineError(Exception):
    """A generation failed; the engine continues with the others."""


class UnusableRequest(EngineError):
    """No worker can do what is requested: an impossible schema, a token that does not exist."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a prompt's text.

    Args:
        is_scaffold: whether it comes from the chat template, so that control tokens in it are
            recognised. What anybody else wrote never becomes one.
        token_ids: of the text, if they are known; they are used instead of tokenizing it.
    """

    text: str
    is_scaffold: bool = False
    token_ids: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """Some of what a reply consists of: text or thoughts, or one whole call (as JSON text)."""

    kind: PartKind
    text: str


@dataclass(frozen=True, slots=True)
class Grammar:
    """What a reply must follow from some point on.

    Args:
        kind: `json` for a JSON schema as JSON text, `lark` for llguidance's grammars.
    """

    kind: Literal["json", "lark"]
    text: str


class ReplyReader(Protocol):
    """Splits what a model writes into parts; one per reply, in the engine's thread.

    The same text gives the same parts however it is cut, so that another start of a turn can read
    what was generated before.
    """

    def push(self, text: str, *, is_control: bool = False) -> list[Part]:
        """Add text; returns what has become final.

        Args:
            text: whole characters.
            is_control: whether it is a control token's text, which never is part of a reply.
        """
        ...

    def finish(self, ending: str = "") -> list[Part]:
        """Everything still held back.

        Args:
            ending: text of the token that ended the reply; empty if it was cut.
        """
        ...

    @property
    def is_reasoning(self) -> bool:
        """Whether the next token belongs to a thought."""
        ...

    @property
    def is_complete(self) -> bool:
        """Whether the reply ends here, whatever the model would add."""
        ...

    @property
    def grammar(self) -> Grammar | None:
        """What the text from here on must follow; another object means from the next token on."""
        ...

    def take_forced(self) -> str:
        """Text that must come next, whatever the model would write; empty if there is none."""
        ...

    def end_reasoning(self) -> None:
        """Have the thought closed: `take_forced` then returns the closing markup."""
        ...

    def go_on_in(self, kind: PartKind) -> None:
        """Take all that was read for given out by another reader, and go on in a part of a kind."""
        ...


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """How tokens are drawn; the defaults are llama.cpp's. `temperature` 0 is greedy.

    `seed` None draws a random one. `repeat_penalty` and the other two look at the last 64 tokens.
    `json_schema`, as JSON text, is what the reply's text must follow, once thoughts have ended;
    `logit_bias` is added to the logits of tokens. With `top_logprobs`, pieces carry the
    probabilities of their tokens and of as many alternatives.
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
    top_logprobs: int | None = None


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token's text as bytes, and the logarithm of its probability before sampling options."""

    token: bytes
    logprob: float


@dataclass(frozen=True, slots=True)
class DrawnLogprob:
    """A token that was drawn, and those that were likeliest, the likeliest first."""

    drawn: TokenLogprob
    top: tuple[TokenLogprob, ...] = ()


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
        num_standing: how many of `generated` stood before the turn, which continues a reply: limits
            and stop strings are for what comes behind them.
        goes_on_in: kind of the part that `generated` ends in, if another model has generated it:
            this one's reader would have given out something else, or not everything.
        max_tokens: length of the whole reply in tokens, `generated` included.
        stop: strings in the reply's text that end it and do not belong to it.
        reader: makes what splits this reply into parts; None takes everything for text.
        reasoning_limit: tokens after which a thought is closed.
        answer_limit: tokens that are no thoughts, at most; those that stood do not count.
        alone_until: nothing else is evaluated until the reply has this many tokens.
        meter: counts what the prompt costs, also if the reply is never finished.
        enough: set when no more is wanted: the reply ends as it is, as `stopped`.
    """

    session: str
    prompt: tuple[int, ...]
    max_tokens: int
    generated: tuple[int, ...] = ()
    num_standing: int = 0
    goes_on_in: PartKind | None = None
    stop: tuple[str, ...] = ()
    reader: Callable[[], ReplyReader] | None = None
    reasoning_limit: int | None = None
    answer_limit: int | None = None
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    alone_until: int = 0
    meter: Meter = field(default_factory=Meter, compare=False)
    enough: threading.Event = field(default_factory=threading.Event, compare=False)


@dataclass(frozen=True, slots=True)
class End:
    """How a generation ended and what it cost.

    `cached_tokens` of the prompt were not evaluated; times are in milliseconds; `reasoning_tokens`
    of the whole reply were thoughts; `stop_string` is the one that ended it, if one did.
    """

    reason: FinishReason
    cached_tokens: int
    prompt_ms: float
    generation_ms: float
    reasoning_tokens: int = 0
    stop_string: str | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """What some tokens added to the reply.

    Pieces never split a character. Their ids are all tokens in order; what these mean may come in
    later pieces. The last one has an `end`.
    """

    parts: tuple[Part, ...]
    token_ids: tuple[int, ...]
    end: End | None = None
    logprobs: tuple[DrawnLogprob, ...] = ()

    @property
    def text(self) -> str:
        """The reply's text in it, without thoughts and calls."""
        return "".join(part.text for part in self.parts if part.kind == "text")


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The model an engine runs.

    Args:
        fingerprint: changes with anything that changes token ids.
        chat_template: Jinja text.
        bos, eos: texts of these tokens ("" if there are none).
        sampling: how tokens are drawn unless a request says otherwise: the server's settings, then
            what the file recommends, then llama.cpp's defaults.
        context_length: tokens that it was trained for or can be stretched to; None if unknown.
        is_demo: whether it only shows that everything works.
    """

    name: str
    fingerprint: str
    chat_template: str = ""
    bos: str = ""
    eos: str = ""
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    context_length: int | None = None
    is_demo: bool = False


class ModelHost(Protocol):
    """A loaded model in a thread of its own: what it is, and how it is."""

    @property
    def model(self) -> ModelInfo: ...

    @property
    def slots(self) -> int:
        """How many turns run together."""
        ...

    @property
    def window(self) -> int:
        """Tokens of prompt and reply together, or of a text to embed, at most."""
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

    def stats(self) -> EngineStats:
        """What it did, and how it is."""
        ...

    async def close(self) -> None:
        """Free the model; what is under way fails."""
        ...


class Engine(ModelHost, Protocol):
    """A model, ready to tokenize and to generate."""

    @property
    def dropped(self) -> DroppedSessions:
        """Conversations of which it has kept nothing since their last turn."""
        ...

    @property
    def prompt_speed(self) -> int:
        """Tokens of prompts that it evaluates in a second; 0 as long as that is not known."""
        ...

    def tokenize(self, text: str) -> list[int]:
        """Token ids of a message's content; text never becomes a control token."""
        ...

    def detokenize(self, token_ids: Sequence[int], *, controls: bool = False) -> str:
        """The text of some tokens; control tokens have none, except with `controls`."""
        ...

    def encode(self, segments: Sequence[Segment]) -> list[int]:
        """The token ids of a prompt.

        They are those of the whole text tokenized at once, except where somebody's text spells a
        control token, or ids are known.
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
