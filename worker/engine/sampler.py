"""One reply's sampler chain, made of llama.cpp's own samplers."""

import ctypes
import secrets
from collections.abc import Mapping
from typing import Any, Final

import llama_cpp
import numpy as np
import numpy.typing as npt

from worker.engine.grammar import Grammar
from worker.engine.interface import EngineError, SamplingOptions, UnusableRequest
from worker.engine.vocabulary import ModelVocabulary

_PENALTY_LAST_N: Final = 64
_RANDOM_SEED: Final = 0xFFFFFFFF
"""llama.cpp takes this value to mean "choose one"."""


class Sampler:
    """Draws tokens for one reply, from a stream of random numbers of its own.

    Args:
        vocabulary: what tokens there are.
        options: how to draw.

    Raises:
        EngineError: the grammar or a bias cannot be used.
    """

    def __init__(self, vocabulary: ModelVocabulary, options: SamplingOptions) -> None:
        biases = _biases(vocabulary, options)
        self._grammar = (
            Grammar(vocabulary, options.json_schema) if options.json_schema is not None else None
        )
        penalties = (options.repeat_penalty, options.frequency_penalty, options.presence_penalty)
        has_penalties = penalties != (1.0, 0.0, 0.0)
        self._is_argmax = options.temperature <= 0 and not (
            biases or has_penalties or self._grammar
        )
        self._chain = llama_cpp.llama_sampler_chain_init(
            llama_cpp.llama_sampler_chain_default_params()
        )
        if biases:
            self._add(_bias_sampler(biases, vocabulary.size))
        if has_penalties:
            self._add(
                llama_cpp.llama_sampler_init_penalties(vocabulary.size, _PENALTY_LAST_N, *penalties)
            )
        self._add_draw(options)

    def _add_draw(self, options: SamplingOptions) -> None:
        if options.temperature <= 0:
            self._add(llama_cpp.llama_sampler_init_greedy())
            return
        # top_k first: what follows then sorts a few candidates instead of the whole vocabulary.
        if options.top_k > 0:
            self._add(llama_cpp.llama_sampler_init_top_k(options.top_k))
        if options.top_p < 1:
            self._add(llama_cpp.llama_sampler_init_top_p(options.top_p, 1))
        if options.min_p > 0:
            self._add(llama_cpp.llama_sampler_init_min_p(options.min_p, 1))
        self._add(llama_cpp.llama_sampler_init_temp(options.temperature))
        self._add(llama_cpp.llama_sampler_init_dist(_seed(options.seed)))

    def _add(self, sampler: Any) -> None:
        if not sampler:
            raise EngineError("llama.cpp refuses a sampling option")
        llama_cpp.llama_sampler_chain_add(self._chain, sampler)

    @property
    def needs_logits(self) -> bool:
        """Whether it draws from logits (`draw`) instead of from a context (`sample`)."""
        return self._is_argmax or self._grammar is not None

    def sample(self, context: Any, position: int) -> int:
        """Draw behind a position of the last batch, and remember it for the penalties."""
        return int(llama_cpp.llama_sampler_sample(self._chain, context, position))

    def draw(self, logits: npt.NDArray[np.float32]) -> int:
        """Draw from a row of logits, and remember it.

        With a grammar first what the chain draws is looked at: asking the grammar about every
        token of the vocabulary takes a hundred times as long, and is seldom needed.
        """
        if self._grammar is None:
            return int(logits.argmax())
        token = self._drawn(_Candidates(logits))
        if not self._grammar.allows(token):
            candidates = _Candidates(logits)
            self._grammar.restrict(candidates.struct)
            token = self._drawn(candidates)
        self.accept(token)
        return token

    def _drawn(self, candidates: "_Candidates") -> int:
        llama_cpp.llama_sampler_apply(self._chain, ctypes.byref(candidates.struct))
        return candidates.selected

    def accept(self, token: int) -> None:
        """Remember a token that was drawn."""
        if self._grammar is not None:
            self._grammar.accept(token)
        llama_cpp.llama_sampler_accept(self._chain, token)

    def close(self) -> None:
        """Free the chain."""
        if self._grammar is not None:
            self._grammar.close()
        llama_cpp.llama_sampler_free(self._chain)


class _Candidates:
    """Every token with its logit, as llama.cpp's samplers want it."""

    _kind: Final = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])

    def __init__(self, logits: npt.NDArray[np.float32]) -> None:
        self._data = np.zeros(len(logits), self._kind)
        self._data["id"] = np.arange(len(logits))
        self._data["logit"] = logits
        data = self._data.ctypes.data_as(ctypes.POINTER(llama_cpp.llama_token_data))
        self.struct = llama_cpp.llama_token_data_array(data, len(logits), -1, False)

    @property
    def selected(self) -> int:
        """The token that a chain has chosen."""
        return int(self._data["id"][self.struct.selected])


def _seed(seed: int | None) -> int:
    if seed is None:
        return secrets.randbelow(_RANDOM_SEED)
    return seed % _RANDOM_SEED


def _biases(vocabulary: ModelVocabulary, options: SamplingOptions) -> Mapping[int, float]:
    """What is added to the logits, by token."""
    biases = dict(options.logit_bias)
    unknown = [token for token in biases if not 0 <= token < vocabulary.size]
    if unknown:
        raise UnusableRequest(f"logit_bias: the model has no token {unknown[0]}")
    if options.ignore_eos:
        biases |= dict.fromkeys(vocabulary.eog_tokens, float("-inf"))
    return biases


def _bias_sampler(biases: Mapping[int, float], num_vocab: int) -> Any:
    array = (llama_cpp.llama_logit_bias * len(biases))()
    for entry, (token, bias) in zip(array, biases.items(), strict=True):
        entry.token, entry.bias = token, ctypes.c_float(bias).value
    return llama_cpp.llama_sampler_init_logit_bias(num_vocab, len(biases), array)
