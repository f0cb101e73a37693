"""What a worker needs from a model that makes embeddings: token ids in, vectors out.

`EmbeddingEngine` runs llama.cpp; tests script their own.
"""

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from worker.engine.interface import Meter, ModelHost

TokenIds = tuple[int, ...]
Vector = bytes
"""32-bit floats, little-endian; their squares add up to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingRequest:
    """Texts to embed.

    Args:
        texts: token ids of each, with what the model wants around a text; at least one id and at
            most the window.
        alone: nothing else is evaluated until these are done.
        meter: counts the tokens that were evaluated, also if the request is never finished.
    """

    texts: tuple[TokenIds, ...]
    alone: bool = False
    meter: Meter = field(default_factory=Meter, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """A vector for each text, in order, and the milliseconds from the first pass to the last."""

    vectors: tuple[Vector, ...]
    evaluation_ms: float


@runtime_checkable
class Embedder(ModelHost, Protocol):
    """A model that makes embeddings, and generates nothing."""

    @property
    def vocabulary_size(self) -> int:
        """Token ids are below it."""
        ...

    def tokenize_whole(self, text: str) -> list[int]:
        """Token ids of a text with what the model wants around it; thread-safe.

        Text never becomes a control token.
        """
        ...

    async def embed(self, request: EmbeddingRequest) -> Embedded:
        """The texts' vectors; cancelling leaves out what was not evaluated yet.

        Raises:
            EngineError: a text could not be evaluated.
        """
        ...
