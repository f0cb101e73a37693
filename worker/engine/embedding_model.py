"""A model that makes embeddings, in llama.cpp: whole texts in, vectors out.

Nothing here is safe to call from two threads, except for `vocabulary`.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

import llama_cpp
import numpy as np
import numpy.typing as npt

from worker.engine.adapters import use_adapters
from worker.engine.backend import EvaluationFailed, Part
from worker.engine.batch import Batch
from worker.engine.devices import gpus
from worker.engine.embedding import TokenIds, Vector
from worker.engine.interface import EngineError
from worker.engine.library_log import listening
from worker.engine.location import has_flash_attention, placement_of
from worker.engine.model_file import (
    ModelError,
    check_purpose,
    load_model,
    longest_window,
    metadata,
    window_of,
)
from worker.engine.options import ModelOptions, embedding_params, model_params
from worker.engine.placement import Placement
from worker.engine.vocabulary import ModelVocabulary

log = logging.getLogger(__name__)

_PASS_TEXTS: Final = 64
"""Texts of a pass at most: llama.cpp gives each a sequence id, and supports 256."""


_LOGIT_BYTES: Final = 8
"""A number where it is computed, and its copy."""
_MUCH_MEMORY: Final = 1 << 30


class EmbeddingBackend(Protocol):
    """What an embedding engine needs from a model. `EmbeddingModel` implements it."""

    @property
    def window(self) -> int:
        """Tokens of the longest text."""
        ...

    @property
    def pass_tokens(self) -> int:
        """Tokens that texts should have together in a pass."""
        ...

    @property
    def pass_texts(self) -> int:
        """Texts of a pass at most."""
        ...

    @property
    def placement(self) -> Placement: ...

    @property
    def vocabulary(self) -> ModelVocabulary: ...

    def evaluate(self, texts: Sequence[TokenIds]) -> list[Vector | EngineError]:
        """A vector for each text, or the reason for none.

        Raises:
            EvaluationFailed: the pass failed.
        """
        ...

    def close(self) -> None:
        """Free everything."""
        ...


class EmbeddingModel:
    """A loaded model whose context pools the tokens of a text, as its file says.

    Raises:
        ModelError: the file is missing, damaged, does not fit into memory, or makes no embeddings.
    """

    def __init__(self, options: ModelOptions) -> None:
        llama_cpp.llama_backend_init()
        available = gpus()
        self._model = load_model(options.path, model_params(options, available))
        check_purpose(self._model, options.path, "embeddings")
        window, warning = window_of(self._model, options.window)
        if warning is not None:
            log.warning("%s", warning)
        options = replace(options, window=window, slots=_PASS_TEXTS)
        decodes = bool(llama_cpp.llama_model_has_decoder(self._model))
        self._takes_last = decodes and self._is_last_token_enough()
        params = embedding_params(options, available, splits=self._takes_last)
        self._context, flash_attention = self._make_context(options, params)
        self._memory = llama_cpp.llama_get_memory(self._context)
        # Without a memory a text is always evaluated at once; llama.cpp aborts if it does not fit.
        self.window = window if self._memory and decodes else min(window, int(params.n_ubatch))
        self.pass_tokens, self.pass_texts = options.batch, _PASS_TEXTS
        self.vocabulary = ModelVocabulary(self._model)
        if self._memory and not self._takes_last:
            self._warn_of_logits(options)
        self.context_length = longest_window(self._model)
        self.placement = placement_of(
            self._model, options, available, flash_attention=flash_attention
        )
        self._size = int(llama_cpp.llama_model_n_embd_out(self._model))
        self._batch = Batch(int(params.n_batch))
        self._run = llama_cpp.llama_decode if decodes else llama_cpp.llama_encode

    def _is_last_token_enough(self) -> bool:
        """Whether a text's vector is its last token's, which looks at all before it."""
        architecture = metadata(self._model, "general.architecture")
        is_causal = metadata(self._model, f"{architecture}.attention.causal") != "false"
        pooling = metadata(self._model, f"{architecture}.pooling_type")
        return is_causal and pooling == str(llama_cpp.LLAMA_POOLING_TYPE_LAST)

    def _warn_of_logits(self, options: ModelOptions) -> None:
        """Say what a decoder takes whose vectors are made of all tokens: it has logits, too."""
        num_bytes = self.window * self.vocabulary.size * _LOGIT_BYTES
        if num_bytes > _MUCH_MEMORY:
            log.warning(
                "%s: texts of %d tokens (PALAVER_CONTEXT_LENGTH) take about %d MiB, as llama.cpp "
                "computes what would follow each token",
                options.path.name,
                self.window,
                num_bytes >> 20,
            )

    def _make_context(self, options: ModelOptions, params: Any) -> tuple[Any, bool]:
        """The context, and whether it uses flash attention."""
        with listening() as messages:
            context = llama_cpp.llama_init_from_model(self._model, params)
        if not context:
            raise ModelError(
                f"{options.path}: texts of {options.window} tokens (PALAVER_CONTEXT_LENGTH): "
                f"{messages.reason}"
            )
        use_adapters(self._model, context, options.adapters)
        return context, has_flash_attention(params, messages)

    def evaluate(self, texts: Sequence[TokenIds]) -> list[Vector | EngineError]:
        if self._memory:
            llama_cpp.llama_memory_clear(self._memory, False)
        if self._memory and self._takes_last:
            self._evaluate_beginnings(texts)
            self._batch.fill(
                [Part(n, len(text) - 1, text[-1:], True) for n, text in enumerate(texts)]
            )
        else:
            self._batch.fill_with_texts(texts)
        self._run_batch()
        return [self._vector(number) for number in range(len(texts))]

    def _evaluate_beginnings(self, texts: Sequence[TokenIds]) -> None:
        """Evaluate all but the last tokens, whose vectors nobody wants.

        Where llama.cpp makes vectors it computes logits of every token, too: of a vocabulary of
        150,000 these take 2 GB for 3,500 tokens.
        """
        parts = [Part(n, 0, text[:-1], False) for n, text in enumerate(texts) if len(text) > 1]
        if parts:
            self._batch.fill(parts)
            llama_cpp.llama_set_embeddings(self._context, False)
            try:
                self._run_batch()
            finally:
                llama_cpp.llama_set_embeddings(self._context, True)

    def _run_batch(self) -> None:
        status = self._run(self._context, self._batch.struct)
        if status != 0:
            raise EvaluationFailed(f"llama.cpp: {status}")

    def _vector(self, number: int) -> Vector | EngineError:
        pointer = llama_cpp.llama_get_embeddings_seq(self._context, number)
        if not pointer:
            return EngineError("llama.cpp made no vector of a text")
        return normalized(np.ctypeslib.as_array(pointer, shape=(self._size,)))

    def close(self) -> None:
        llama_cpp.llama_free(self._context)
        llama_cpp.llama_model_free(self._model)


def normalized(vector: npt.NDArray[np.float32]) -> Vector | EngineError:
    """A vector of length 1 in the same direction, which vectors of no direction do not have."""
    length = np.linalg.norm(vector.astype(np.float64))
    if not (np.isfinite(length) and length > 0):
        return EngineError("the model's numbers for a text are no vector: NaN, infinite or all 0")
    return (vector / length).astype("<f4").tobytes()
