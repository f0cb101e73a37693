"""Drawing for many rows at once, beside llama.cpp's own chain with the same seeds."""

import ctypes
import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import llama_cpp
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.engine.constraint import Constraint
from worker.engine.drawing import Drawer, Floats, Rule, compiled
from worker.engine.interface import Grammar, SamplingOptions
from worker.engine.sampler import Sampler, draw_all

VOCABULARIES: Final = (259, 8191, 8192, 32_001, 49_152, 128_256)
KIND: Final = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class Words:
    """As much of a vocabulary as a sampler asks for."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.eog_tokens = [2]

    def is_end(self, token: int) -> bool:
        return token == 2


class Chain:
    """llama.cpp's samplers in their order, the last one included."""

    def __init__(self, size: int, options: SamplingOptions) -> None:
        self.handle = llama_cpp.llama_sampler_chain_init(
            llama_cpp.llama_sampler_chain_default_params()
        )
        penalties = (options.repeat_penalty, options.frequency_penalty, options.presence_penalty)
        biases = dict(options.logit_bias)
        array = (llama_cpp.llama_logit_bias * len(biases))(*biases.items())
        self.add(llama_cpp.llama_sampler_init_logit_bias(size, len(biases), array))
        self.add(llama_cpp.llama_sampler_init_penalties(size, 64, *penalties))
        if options.temperature == 0:
            self.add(llama_cpp.llama_sampler_init_greedy())
            return
        self.add(llama_cpp.llama_sampler_init_top_k(options.top_k))
        self.add(llama_cpp.llama_sampler_init_typical(options.typical_p, 1))
        self.add(llama_cpp.llama_sampler_init_top_p(options.top_p, 1))
        self.add(llama_cpp.llama_sampler_init_min_p(options.min_p, 1))
        self.add(llama_cpp.llama_sampler_init_temp(options.temperature))
        self.add(llama_cpp.llama_sampler_init_dist(options.seed or 0))

    def add(self, sampler: Any) -> None:
        llama_cpp.llama_sampler_chain_add(self.handle, sampler)

    def draw(self, row: Floats) -> int:
        data = np.zeros(len(row), KIND)
        data["id"], data["logit"] = np.arange(len(row)), row
        pointer = data.ctypes.data_as(ctypes.POINTER(llama_cpp.llama_token_data))
        array = llama_cpp.llama_token_data_array(pointer, len(row), -1, False)
        llama_cpp.llama_sampler_apply(self.handle, ctypes.byref(array))
        token = int(data["id"][array.selected])
        llama_cpp.llama_sampler_accept(self.handle, token)
        return token

    def close(self) -> None:
        llama_cpp.llama_sampler_free(self.handle)


def sampler_of(size: int, options: SamplingOptions) -> Sampler:
    return Sampler(Words(size), options, _no_grammar)  # type: ignore[arg-type]  # as much as needed


def _no_grammar(grammar: Grammar) -> Constraint:
    raise AssertionError(grammar)


def rows_of(seed: int, count: int, size: int, scale: float = 2.0) -> Floats:
    return np.random.default_rng(seed).normal(0, scale, (count, size)).astype(np.float32)


def draw(rows: Floats, samplers: Sequence[Sampler], drawer: Drawer | None = None) -> list[int]:
    tokens = draw_all(rows.copy(), samplers, drawer or Drawer(1, compiled()))
    assert all(isinstance(token, int) for token in tokens)
    return [token for token in tokens if isinstance(token, int)]


OPTIONS: Final = (
    SamplingOptions(),
    SamplingOptions(temperature=0),
    SamplingOptions(top_p=1, min_p=0),
    SamplingOptions(temperature=1.5, top_k=100, top_p=0.5),
    SamplingOptions(top_p=1, min_p=0.2, top_k=7),
    SamplingOptions(top_k=1),
    SamplingOptions(top_k=400, min_p=0, temperature=0.3),
    SamplingOptions(top_k=2**31 - 1),
    SamplingOptions(top_k=0, top_p=0.9, min_p=0),
    SamplingOptions(top_k=0, top_p=1, min_p=0),
    SamplingOptions(typical_p=0.3),
    SamplingOptions(typical_p=0.7, top_k=0, top_p=1, min_p=0),
    SamplingOptions(repeat_penalty=1.3, frequency_penalty=0.4, presence_penalty=-0.3),
    SamplingOptions(repeat_penalty=1.3, temperature=0),
    SamplingOptions(logit_bias=((5, 9.5), (7, 9.0), (8, -100.0)), presence_penalty=0.5),
)


@pytest.mark.parametrize("size", VOCABULARIES)
def test_the_same_tokens_as_the_librarys_chain_draws(size: int) -> None:
    options = [replace(one, seed=number + 1) for number, one in enumerate(OPTIONS)]
    chains = [Chain(size, one) for one in options]
    samplers = [sampler_of(size, one) for one in options]
    for step in range(12):
        # The same rows for three steps, so that penalties find something.
        rows = rows_of(step // 3, len(options), size)
        theirs = [chain.draw(row) for chain, row in zip(chains, rows, strict=True)]
        assert draw(rows, samplers) == theirs
    for chain, sampler in zip(chains, samplers, strict=True):
        chain.close()
        sampler.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        SamplingOptions(),
        SamplingOptions(top_k=0, top_p=1, min_p=0.05),  # the order of its candidates is another
        SamplingOptions(top_k=0, top_p=1, min_p=0, temperature=0.4),
        SamplingOptions(top_k=20, temperature=2.0, min_p=0, logit_bias=((11, 8.0),)),
    ],
)
def test_the_distribution_is_that_of_the_librarys_chain(options: SamplingOptions) -> None:
    size, draws, together = 2048, 60_000, 250
    row = rows_of(1, 1, size, 1.5)
    chain = Chain(size, replace(options, seed=1))
    theirs = [chain.draw(row[0]) for _ in range(draws)]
    chain.close()
    samplers = [sampler_of(size, replace(options, seed=2 + n)) for n in range(together)]
    rows = np.repeat(row, together, axis=0)
    ours = [token for _ in range(draws // together) for token in draw(rows, samplers)]
    first, second = (np.bincount(tokens, minlength=size) for tokens in (ours, theirs))
    statistic, freedom = chi_square(first, second)
    # Five standard deviations of the statistic, whose mean is the degrees of freedom.
    assert freedom >= 4
    assert statistic < freedom + 5 * math.sqrt(2 * freedom)


@pytest.mark.parametrize("ignore_eos", [False, True])
@pytest.mark.parametrize("top_k", [0, 12])
def test_typical_p_leaves_out_a_token_that_is_too_likely(top_k: int, ignore_eos: bool) -> None:
    """Also beside tokens of probability 0, such as an end that is ignored."""
    row = np.full((1, 12), math.log(0.6 / 11), np.float32)
    row[0, 7] = math.log(0.4)
    options = SamplingOptions(top_k=top_k, top_p=1, min_p=0, ignore_eos=ignore_eos, seed=1)

    def drawn(typical_p: float) -> set[int]:
        sampler = sampler_of(12, replace(options, typical_p=typical_p))
        tokens = {draw(row, [sampler])[0] for _ in range(100)}
        sampler.close()
        return tokens

    assert 7 in drawn(1.0)
    assert 7 not in drawn(0.5)


def chi_square(first: npt.NDArray[np.intp], second: npt.NDArray[np.intp]) -> tuple[float, int]:
    """Of two samples of equal size, tokens seldom seen taken together."""
    both = first + second
    often = both >= 20
    a = np.append(first[often], first[~often].sum())
    b = np.append(second[often], second[~often].sum())
    seen = a + b > 0
    a, b = a[seen], b[seen]
    return float(((a - b) ** 2 / (a + b)).sum()), len(a) - 1


def drawn(row: Floats, rule: Rule, uniform: float) -> int:
    """What the rule says, in the simplest way."""
    order = np.lexsort((np.arange(len(row)), -row))[: rule.count or None]
    values = row[order]
    if np.float32(rule.mass) < 1:
        shares = np.exp(values - values[0])
        sums = np.cumsum(shares / np.cumsum(shares)[-1])
        values = values[: (sums >= np.float32(rule.mass)).argmax() + 1]
    values = values[values >= values[0] + np.float32(rule.depth)]
    temperature = np.float32(rule.temperature)
    sums = np.cumsum(np.exp(values / temperature - values[0] / temperature), dtype=np.float64)
    return int(order[(sums >= sums[-1] * uniform).argmax()])


STRANGE: Final = (math.inf, -math.inf, math.nan, 0.0, -0.0, 1e30, -1e30, 3.4e38)
RULES: Final = st.builds(
    Rule,
    count=st.sampled_from([0, 1, 2, 40, 500]),
    mass=st.sampled_from([0.0, 0.3, 0.95, 1 - 1e-9, 1.0]),
    depth=st.sampled_from([-math.inf, -3.0, -0.5, 0.0]),
    temperature=st.sampled_from([1e-3, 0.8, 1.0, 2.0]),
).filter(lambda rule: rule.is_quick)


@given(
    size=st.one_of(st.integers(1, 1200), st.sampled_from([1536, 16_384, 20_000])),
    seed=st.integers(0, 1000),
    strange=st.lists(st.tuples(st.floats(0, 1), st.sampled_from(STRANGE)), max_size=4),
    decimals=st.sampled_from([None, 1, 0]),
    rules=st.lists(RULES, min_size=1, max_size=5),
    uniform=st.floats(0, 1, exclude_max=True),
)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_whatever_a_row_holds(
    size: int,
    seed: int,
    strange: list[tuple[float, float]],
    decimals: int | None,
    rules: list[Rule],
    uniform: float,
) -> None:
    rows = rows_of(seed, len(rules), size)
    if decimals is not None:
        rows = np.round(rows, decimals)  # many are equal
    for place, value in strange:
        rows[:, min(size - 1, int(place * size))] = value
    table = np.array([rule.as_row() for rule in rules])
    result = Drawer(1, compiled()).draw(rows, table, [uniform] * len(rules))
    for row, rule, token, largest in zip(
        rows, rules, result.token_ids, result.largest, strict=True
    ):
        assert np.array_equal(largest, row.max(), equal_nan=True)
        if token is not None and largest <= 1e30:  # beyond, `Sampler.settle` draws anew
            with np.errstate(over="ignore", invalid="ignore"):
                assert token == drawn(row, rule, uniform)
        elif token is None and np.isfinite(largest):
            least = row.max() + np.float32(rule.depth)
            if rule.count:
                least = np.sort(row)[-rule.count]
            assert (row >= least).sum() > 8192  # so many tokens of a row count as candidates


def test_the_library_is_there() -> None:
    """Without it everything would work, and take longer: `make test` compiles it."""
    assert compiled() is not None


def test_rows_that_are_flat_or_unusable_are_left_to_others() -> None:
    rows = rows_of(3, 6, 32_001)
    rows[1] = 0.0
    rows[2] = -np.inf
    rows[3] = -np.inf
    rows[3, 123] = 1.0
    rows[4, -1] = np.nan
    rows[5, 7] = np.inf
    table = np.array([Rule(40, 0.95, -3.0, 0.8).as_row()] * 6)
    drawer = Drawer(3, compiled())
    result = drawer.draw(rows, table, [0.5] * 6)
    drawer.close()
    assert [token is None for token in result.token_ids] == [False, True, True, False, True, True]
    assert result.token_ids[3] == 123


def test_of_equal_tokens_the_first_is_the_likeliest() -> None:
    """And the two zeros are equal."""
    rows = np.array([[-1.0, -0.0, 0.0, -0.0]], np.float32)
    greedy = np.array([Rule(1, 1.0, 0.0, 1.0).as_row()])
    assert Drawer(1, compiled()).draw(rows, greedy, [0.0]).token_ids == [1]


def test_without_the_library_the_tokens_are_the_same() -> None:
    size = 4000
    options = [replace(one, seed=number + 1) for number, one in enumerate(OPTIONS)]
    options += [SamplingOptions(top_k=0, top_p=1, min_p=0.05, seed=1)]
    quick = [sampler_of(size, one) for one in options]
    plain = [sampler_of(size, one) for one in options]
    for step in range(12):
        rows = rows_of(step // 3, len(options), size)
        assert draw(rows, plain, Drawer(1, None)) == draw(rows, quick)
    for sampler in (*quick, *plain):
        sampler.close()


@pytest.mark.slow
def test_a_seeded_reply_does_not_depend_on_its_company_or_the_threads() -> None:
    size, steps = 20_000, 8
    rows = [rows_of(100 + step, len(OPTIONS), size) for step in range(steps)]
    seeded = [replace(one, seed=7) for one in OPTIONS]

    def reply(number: int, company: Sequence[int], threads: int) -> list[int]:
        drawer = Drawer(threads, compiled())
        samplers = [sampler_of(size, seeded[one]) for one in (*company, number)]
        drawn = [draw(step[[*company, number]], samplers, drawer)[-1] for step in rows]
        drawer.close()
        for sampler in samplers:
            sampler.close()
        return drawn

    everybody = tuple(range(len(OPTIONS)))
    for number in everybody:
        alone = reply(number, (), 1)
        for company, threads in itertools.product([everybody, everybody[::-1] * 2], [1, 3]):
            assert reply(number, company, threads) == alone
