"""One sequence's sampler chain, made of llama.cpp's own samplers."""

import ctypes
import secrets
from typing import Any, Final

import llama_cpp

from worker.engine.interface import SamplingOptions

_PENALTY_LAST_N: Final = 64
_RANDOM_SEED: Final = 0xFFFFFFFF
"""llama.cpp takes this value to mean "choose one"."""


class Sampler:
    """Draws tokens for one reply.

    Args:
        vocab: llama.cpp's vocabulary handle.
        options: how to draw.
        eog_tokens: ids that end a reply; never drawn with `ignore_eos`.
    """

    def __init__(self, vocab: Any, options: SamplingOptions, eog_tokens: list[int]) -> None:
        num_vocab = llama_cpp.llama_vocab_n_tokens(vocab)
        self._chain = llama_cpp.llama_sampler_chain_init(
            llama_cpp.llama_sampler_chain_default_params()
        )
        if options.ignore_eos:
            self._add(_forbid(eog_tokens, num_vocab))
        penalties = (options.repeat_penalty, options.frequency_penalty, options.presence_penalty)
        if penalties != (1.0, 0.0, 0.0):
            self._add(
                llama_cpp.llama_sampler_init_penalties(num_vocab, _PENALTY_LAST_N, *penalties)
            )
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
        llama_cpp.llama_sampler_chain_add(self._chain, sampler)

    def sample(self, context: Any) -> int:
        """Draw the next token from the last logits, and remember it for the penalties."""
        return int(llama_cpp.llama_sampler_sample(self._chain, context, -1))

    def accept(self, token: int) -> None:
        """Remember a token that was drawn in an earlier attempt."""
        llama_cpp.llama_sampler_accept(self._chain, token)

    def close(self) -> None:
        """Free the chain."""
        llama_cpp.llama_sampler_free(self._chain)


def _seed(seed: int | None) -> int:
    if seed is None:
        return secrets.randbelow(_RANDOM_SEED)
    return seed % _RANDOM_SEED


def _forbid(tokens: list[int], num_vocab: int) -> Any:
    biases = (llama_cpp.llama_logit_bias * len(tokens))()
    for bias, token in zip(biases, tokens, strict=True):
        bias.token, bias.bias = token, ctypes.c_float(float("-inf")).value
    return llama_cpp.llama_sampler_init_logit_bias(num_vocab, len(tokens), biases)
