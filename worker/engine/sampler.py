"""Draws one reply's tokens: changes a row of logits and chooses a token from it.

Most replies need only a few of a row's largest logits, and are drawn for all rows together
(`drawing.py`). Options that need more, and unusual rows, go through llama.cpp's own samplers. The
random numbers are the same either way.
"""

import ctypes
import math
import secrets
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import llama_cpp
import numpy as np

from worker.engine.backend import NotFinite
from worker.engine.changes import Changes
from worker.engine.constraint import Constraint
from worker.engine.drawing import Drawer, Floats, Ints, Rule
from worker.engine.interface import (
    DrawnLogprob,
    EngineError,
    Grammar,
    SamplingOptions,
    UnusableRequest,
)
from worker.engine.logprobs import logprobs_of
from worker.engine.uniform import Uniform
from worker.engine.vocabulary import NO_TOKEN, ModelVocabulary

_LEAST: Final = 1e-3
"""A lower temperature is greedy, and a lower repeat penalty counts as this: dividing by less would
produce logits that nothing can be drawn from."""
_LARGEST: Final = 1e30
"""Logits beyond this overflow when they are divided by `_LEAST` twice."""
_RANDOM_SEED: Final = 0xFFFFFFFF
"""llama.cpp takes this value to mean "choose one"."""
_NO_SHARE: Final = 1e-30
"""Share of the likeliest token's probability below which a token is left out before llama.cpp
computes an entropy: one of probability 0 would make it NaN."""
_NOT_QUICK: Final = (1.0, 1.0, 0.0, 1.0)
"""The rule for rows that are drawn from in another way: only their largest logit is needed."""


class Sampler:
    """Draws tokens for one reply with its own stream of random numbers.

    Args:
        compile_grammar: makes the constraint of a grammar.

    Raises:
        EngineError: a bias cannot be used, or a schema cannot be followed.
    """

    def __init__(
        self,
        vocabulary: ModelVocabulary,
        options: SamplingOptions,
        compile_grammar: Callable[[Grammar], Constraint],
    ) -> None:
        self._vocabulary = vocabulary
        self._compile = compile_grammar
        self._constraint: Constraint | None = None
        self._forced: deque[int] = deque()
        if options.json_schema is not None:
            self.constrain(Grammar("json", options.json_schema))
        self._never_ends = options.ignore_eos
        self._changes = Changes(
            _biases(vocabulary, options),
            max(options.repeat_penalty, _LEAST),
            options.frequency_penalty,
            options.presence_penalty,
        )
        self.rule = _rule(options)
        self._is_greedy = self.rule.count == 1
        self.is_quick = self.rule.is_quick
        self.row_of_rule = self.rule.as_row() if self.is_quick else _NOT_QUICK
        """What this reply needs from what is drawn for all rows."""
        self.top_logprobs = options.top_logprobs
        """Alternatives reported for each token; None reports no probabilities."""
        self.logprob: DrawnLogprob | None = None
        """Of the token drawn last."""
        self._uniform = Uniform(_seed(options.seed))
        self._chain: Any = None

    def next_uniform(self) -> float:
        """The random number of the next draw; greedy replies need none."""
        return 0.0 if self._is_greedy else self._uniform.next()

    def prepare(self, logits: Floats) -> None:
        """Apply biases and penalties to a row."""
        self._changes.apply(logits)

    def settle(self, logits: Floats, largest: float, token: int | None, uniform: float) -> int:
        """The next token; `NO_TOKEN` if nothing may follow.

        Args:
            logits: the row, prepared.
            largest: the largest logit.
            token: drawn from the largest logits; None if that was not possible.
            uniform: the random number of this draw.

        Raises:
            NotFinite: the row holds NaN.
            EngineError: nothing can follow, and the reply does not satisfy its schema yet.
        """
        if self._forced:
            token = self._forced.popleft()
            self.accept(token)
            return token
        if not abs(largest) <= _LARGEST or self._changes.were_extreme:
            self._changes.undo(logits)
            if self._has_only_ends(logits):
                return self._end_of_reply()
            self._changes.apply(logits)
            token = None
        if self._constraint is not None:
            return self._allowed_token(self._constraint, logits, token, uniform)
        if token is None:
            token = self._drawn(logits, uniform)
        self._changes.remember(token)
        return token

    def _has_only_ends(self, logits: Floats) -> bool:
        """Whether a row, as computed, allows only end tokens in a reply that must not end.

        Raises:
            NotFinite: it holds NaN.
        """
        best = int(logits.argmax())
        # argmax finds the first NaN, if there is one.
        if not abs(logits[best]) <= _LARGEST:
            raise NotFinite("the model computed numbers that nothing can be drawn from (NaN)")
        return self._never_ends and self._vocabulary.is_end(best) and not self._has_others(logits)

    def _has_others(self, logits: Floats) -> bool:
        """Whether a token can be drawn that does not end the reply."""
        others = (logit for token, logit in enumerate(logits) if not self._vocabulary.is_end(token))
        return any(logit >= -_LARGEST for logit in others)  # usually the first one already

    def _allowed_token(
        self, constraint: Constraint, logits: Floats, token: int | None, uniform: float
    ) -> int:
        """A token that the constraint allows; `token` is one drawn from the whole row.

        It is looked at first: asking which tokens may follow takes longer, and is seldom needed.
        """
        if constraint.is_complete:
            return NO_TOKEN
        if token is None:
            token = self._drawn(logits, uniform)
        if not self._is_allowed(token):
            allowed = self._allowed(logits)
            if not len(allowed):
                return self._end_of_reply()
            token = self._drawn(logits[allowed], self.next_uniform(), allowed)
        self.accept(token)
        return token

    def _drawn(self, logits: Floats, uniform: float, token_ids: Ints | None = None) -> int:
        """A draw from what llama.cpp's samplers leave of a row, or of its part with these ids."""
        if self._is_greedy:
            best = int(logits.argmax())
            return best if token_ids is None else int(token_ids[best])
        if self._chain is None:
            self._chain = _chain(self.rule)
        candidates = _Candidates(logits, token_ids)
        llama_cpp.llama_sampler_apply(self._chain, ctypes.byref(candidates.struct))
        if self.is_quick:
            candidates.sort()
        return candidates.drawn(uniform)

    def _is_allowed(self, token: int) -> bool:
        assert self._constraint is not None
        if self._vocabulary.is_end(token):
            return self._constraint.may_end and not self._never_ends
        return self._constraint.allows(token)

    def _allowed(self, logits: Floats) -> Ints:
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

    def force(self, token_ids: Sequence[int]) -> None:
        """Have these tokens come next, whatever the logits say."""
        self._forced.extend(token_ids)

    def constrain(self, grammar: Grammar | None) -> None:
        """Have the reply follow a grammar from the next token on; None lifts it.

        Raises:
            EngineError: it cannot be followed.
        """
        self._constraint = None if grammar is None else self._compile(grammar)

    def accept(self, token: int) -> None:
        """Record a token that was drawn."""
        if self._constraint is not None and not self._vocabulary.is_end(token):
            self._constraint.accept(token)
        self._changes.remember(token)

    def report(self, logits: Floats, token: int) -> None:
        """Note the probabilities of a drawn token and of its alternatives.

        Args:
            logits: the row as the model computed it.
        """
        if 0 <= token < self._vocabulary.size:
            piece_of = partial(self._vocabulary.piece_of, special=True)
            self.logprob = logprobs_of(logits, token, self.top_logprobs or 0, piece_of)

    def close(self) -> None:
        """Free the library's samplers."""
        if self._chain is not None:
            llama_cpp.llama_sampler_free(self._chain)
            self._chain = None


class _Candidates:
    """Tokens with their logits as llama.cpp's samplers expect them: a whole row or a part."""

    _kind: Final = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])

    def __init__(self, logits: Floats, token_ids: Ints | None) -> None:
        self._data = np.zeros(len(logits), self._kind)
        self._data["id"] = np.arange(len(logits)) if token_ids is None else token_ids
        self._data["logit"] = logits
        data = self._data.ctypes.data_as(ctypes.POINTER(llama_cpp.llama_token_data))
        self.struct = llama_cpp.llama_token_data_array(data, len(logits), -1, False)

    def sort(self) -> None:
        """Put what a chain has left into the order in which the library draws."""
        left = self._data[: self.struct.size]
        left[:] = left[np.lexsort((left["id"], -left["logit"]))]

    def drawn(self, uniform: float) -> int:
        """A draw from what is left, in its order."""
        left = self._data[: self.struct.size]
        weights = np.exp(left["logit"] - left["logit"].max())
        sums = np.cumsum(weights, dtype=np.float64)
        return int(left["id"][(sums >= sums[-1] * uniform).argmax()])


def _chain(rule: Rule) -> Any:
    """llama.cpp's samplers for a rule, without the draw."""
    # top_k first, so the others sort a few candidates instead of the whole vocabulary.
    samplers = [
        llama_cpp.llama_sampler_init_top_k(rule.count),
        *_typical(rule.typical),
        llama_cpp.llama_sampler_init_top_p(rule.mass, 1),
        llama_cpp.llama_sampler_init_min_p(math.exp(rule.depth), 1),
        llama_cpp.llama_sampler_init_temp(rule.temperature),
    ]
    chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
    for sampler in samplers:
        llama_cpp.llama_sampler_chain_add(chain, sampler)
    return chain


def _typical(share: float) -> list[Any]:
    if share >= 1:
        return []
    return [
        llama_cpp.llama_sampler_init_min_p(_NO_SHARE, 1),
        llama_cpp.llama_sampler_init_typical(share, 1),
    ]


def _rule(options: SamplingOptions) -> Rule:
    if options.temperature < _LEAST:
        return Rule(count=1, mass=1.0, depth=0.0, temperature=1.0)
    return Rule(
        count=max(options.top_k, 0),
        mass=options.top_p,
        depth=math.log(options.min_p) if options.min_p > 0 else -math.inf,
        temperature=options.temperature,
        typical=options.typical_p,
    )


def _seed(seed: int | None) -> int:
    if seed is None:
        return secrets.randbelow(_RANDOM_SEED)
    return seed % _RANDOM_SEED


def _biases(vocabulary: ModelVocabulary, options: SamplingOptions) -> Mapping[int, float]:
    """What is added to the logits, by token id."""
    biases = dict(options.logit_bias)
    unknown = [token for token in biases if not 0 <= token < vocabulary.size]
    if unknown:
        raise UnusableRequest(f"logit_bias: the model has no token {unknown[0]}")
    if options.ignore_eos:
        biases |= dict.fromkeys(vocabulary.eog_tokens, float("-inf"))
    return biases


def draw_all(rows: Floats, samplers: Sequence[Sampler], drawer: Drawer) -> list[int | EngineError]:
    """A token for each row, `NO_TOKEN` where nothing may follow, or why there is none.

    The rows are changed.
    """
    computed = _copies_of_reported(rows, samplers)
    for row, sampler in zip(rows, samplers, strict=True):
        sampler.prepare(row)
    rules = np.array([sampler.row_of_rule for sampler in samplers])
    uniforms = [sampler.next_uniform() for sampler in samplers]
    drawn = drawer.draw(rows, rules, uniforms)
    tokens: list[int | EngineError] = []
    for number, (sampler, token, largest) in enumerate(
        zip(samplers, drawn.token_ids, drawn.largest, strict=True)
    ):
        quick = token if sampler.is_quick else None
        try:
            tokens.append(sampler.settle(rows[number], largest, quick, uniforms[number]))
        except EngineError as error:
            tokens.append(error)
    for number, logits in computed.items():
        result = tokens[number]
        if not isinstance(result, EngineError):
            samplers[number].report(logits, result)
    return tokens


def _copies_of_reported(rows: Floats, samplers: Sequence[Sampler]) -> dict[int, Floats]:
    """Copies of the rows, as computed, whose replies report probabilities."""
    return {
        number: rows[number].copy()
        for number, sampler in enumerate(samplers)
        if sampler.top_logprobs is not None
    }
