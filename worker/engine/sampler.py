"""One reply's sampler chain, made of llama.cpp's own samplers."""

import ctypes
import secrets
from collections.abc import Mapping
from typing import Any, Final

import llama_cpp
import numpy as np
import numpy.typing as npt

from worker.engine.backend import NotFinite
from worker.engine.constraint import Constraint
from worker.engine.interface import EngineError, SamplingOptions, UnusableRequest
from worker.engine.vocabulary import NO_TOKEN, ModelVocabulary

_PENALTY_LAST_N: Final = 64
_LEAST: Final = 1e-3
"""A lower temperature is greedy, and a lower penalty of repetition counts as this: dividing by less
makes numbers that nothing can be drawn from."""
_LARGEST: Final = 1e30
"""Logits beyond this are no numbers any more once they are divided by what is least, twice."""
_RANDOM_SEED: Final = 0xFFFFFFFF
"""llama.cpp takes this value to mean "choose one"."""


class Sampler:
    """Draws tokens for one reply, from a stream of random numbers of its own.

    Args:
        vocabulary: what tokens there are.
        options: how to draw.
        constraint: what the reply must follow; owned from now on.

    Raises:
        EngineError: a bias cannot be used.
    """

    def __init__(
        self,
        vocabulary: ModelVocabulary,
        options: SamplingOptions,
        constraint: Constraint | None = None,
    ) -> None:
        biases = _biases(vocabulary, options)
        self._constraint = constraint
        self._never_ends = options.ignore_eos
        self._vocabulary = vocabulary
        penalties = (
            max(options.repeat_penalty, _LEAST),
            options.frequency_penalty,
            options.presence_penalty,
        )
        has_penalties = penalties != (1.0, 0.0, 0.0)
        is_greedy = options.temperature < _LEAST
        self._is_argmax = is_greedy and not (biases or has_penalties)
        self._chain = llama_cpp.llama_sampler_chain_init(
            llama_cpp.llama_sampler_chain_default_params()
        )
        if biases:
            self._add(_bias_sampler(biases, vocabulary.size))
        if has_penalties:
            self._add(
                llama_cpp.llama_sampler_init_penalties(vocabulary.size, _PENALTY_LAST_N, *penalties)
            )
        if is_greedy:
            self._add(llama_cpp.llama_sampler_init_greedy())
        else:
            self._add_draw(options)

    def _add_draw(self, options: SamplingOptions) -> None:
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

    def draw(self, logits: npt.NDArray[np.float32], context: Any, position: int) -> int:
        """Draw a token, and remember it; `NO_TOKEN` if nothing may follow.

        Args:
            logits: the row that was computed.
            context: of the last step; llama.cpp finds the same row in it.
            position: where in its batch.

        Raises:
            NotFinite: the row holds no numbers that can be drawn from.
            EngineError: nothing can follow, and the reply does not follow its schema yet.
        """
        best = int(logits.argmax())
        # It is the first NaN, if there is one. The library ends the process over such rows.
        if not abs(logits[best]) <= _LARGEST:
            raise NotFinite("the model computed numbers that nothing can be drawn from (NaN)")
        if self._never_ends and self._vocabulary.is_end(best) and not self._has_others(logits):
            return self._end_of_reply()
        if self._constraint is not None:
            return self._draw_allowed(self._constraint, logits)
        if self._is_argmax:
            return best
        return int(llama_cpp.llama_sampler_sample(self._chain, context, position))

    def _has_others(self, logits: npt.NDArray[np.float32]) -> bool:
        """Whether anything can be drawn that does not end the reply."""
        others = (logit for token, logit in enumerate(logits) if not self._vocabulary.is_end(token))
        return any(logit >= -_LARGEST for logit in others)  # mostly the first one is

    def _draw_allowed(self, constraint: Constraint, logits: npt.NDArray[np.float32]) -> int:
        """What is drawn from all tokens is looked at first: asking which of them may follow takes
        longer, and is seldom needed.
        """
        if constraint.is_complete:
            return NO_TOKEN
        token = self._drawn(logits)
        if not self._is_allowed(token):
            allowed = self._allowed(logits)
            if not len(allowed):
                return self._end_of_reply()
            token = self._drawn(logits[allowed], allowed)
        self.accept(token)
        return token

    def _drawn(
        self, logits: npt.NDArray[np.float32], token_ids: npt.NDArray[np.intp] | None = None
    ) -> int:
        """What is drawn from a whole row, or from the part of it that has these ids."""
        if self._is_argmax:
            best = int(logits.argmax())
            return best if token_ids is None else int(token_ids[best])
        candidates = _Candidates(logits, token_ids)
        llama_cpp.llama_sampler_apply(self._chain, ctypes.byref(candidates.struct))
        return candidates.selected

    def _is_allowed(self, token: int) -> bool:
        assert self._constraint is not None
        if self._vocabulary.is_end(token):
            return self._constraint.may_end and not self._never_ends
        return self._constraint.allows(token)

    def _allowed(self, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
        assert self._constraint is not None
        allowed = self._constraint.allowed()
        allowed = allowed[logits[allowed] >= -_LARGEST]
        if self._never_ends or not self._constraint.may_end:
            allowed = np.setdiff1d(allowed, self._vocabulary.eog_tokens, assume_unique=True)
        return allowed

    def _end_of_reply(self) -> int:
        if self._constraint is None or self._constraint.may_end:
            return NO_TOKEN
        raise EngineError("the model has no token that can follow under this schema")

    def accept(self, token: int) -> None:
        """Remember a token that was drawn."""
        if self._constraint is not None and not self._vocabulary.is_end(token):
            self._constraint.accept(token)
        llama_cpp.llama_sampler_accept(self._chain, token)

    def close(self) -> None:
        """Free the chain."""
        llama_cpp.llama_sampler_free(self._chain)


class _Candidates:
    """Tokens with their logits, as llama.cpp's samplers want them: a whole row, or a part of it."""

    _kind: Final = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])

    def __init__(
        self, logits: npt.NDArray[np.float32], token_ids: npt.NDArray[np.intp] | None
    ) -> None:
        self._data = np.zeros(len(logits), self._kind)
        self._data["id"] = np.arange(len(logits)) if token_ids is None else token_ids
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
