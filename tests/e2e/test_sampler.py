"""Drawing at the extremes of every number: of the options, and of what a model computes."""

import math
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tiny_architectures import write
from worker.engine.backend import NotFinite, Part, TokenSampler
from worker.engine.interface import EngineError, SamplingOptions
from worker.engine.model import LlamaModel
from worker.engine.options import ModelOptions
from worker.engine.vocabulary import NO_TOKEN

TINY: Final = 1e-38
SUBNORMAL: Final = 5e-324
VOCABULARY: Final = 259
SCHEMA: Final = '{"enum": ["a", "b", 12]}'

OPTIONS: Final = st.builds(
    SamplingOptions,
    temperature=st.sampled_from([0.0, SUBNORMAL, TINY, 1e-3, 0.8, 2.0]),
    top_k=st.sampled_from([0, 1, 40, 2**31 - 1]),
    top_p=st.sampled_from([0.0, SUBNORMAL, TINY, 0.5, 1.0]),
    min_p=st.sampled_from([0.0, SUBNORMAL, TINY, 0.05, 1.0]),
    typical_p=st.sampled_from([SUBNORMAL, TINY, 0.5, 1.0]),
    repeat_penalty=st.sampled_from([SUBNORMAL, TINY, 1.0, 2.0]),
    presence_penalty=st.sampled_from([-2.0, 0.0, TINY, 2.0]),
    frequency_penalty=st.sampled_from([-2.0, 0.0, TINY, 2.0]),
    seed=st.sampled_from([0, -1, 2**53]),
    ignore_eos=st.booleans(),
    logit_bias=st.lists(
        st.tuples(st.integers(0, VOCABULARY - 1), st.sampled_from([-100.0, TINY, 100.0])),
        max_size=3,
    ).map(tuple),
    json_schema=st.sampled_from([None, None, SCHEMA]),
)
NUMBERS: Final = st.sampled_from(
    [math.nan, math.inf, -math.inf, 3e38, -3e38, 1e20, -1e20, 0.0, -0.0, TINY, -TINY, 50.0]
)
ROWS: Final = st.builds(
    lambda seed, scale, special: _row(seed, scale, special),
    st.integers(0, 5),
    st.sampled_from([0.0, 1.0, 1e4, 1e20, 3e37, -math.inf]),
    st.dictionaries(st.integers(0, VOCABULARY - 1), NUMBERS, max_size=4),
)
REPEATED: Final = st.sampled_from([[], [65] * 70, list(range(60, 70)) * 7])
"""What a reply consists of already."""


def _row(seed: int, scale: float, special: dict[int, float]) -> npt.NDArray[np.float32]:
    """What a model may compute: normal numbers, and some that are not."""
    if math.isinf(scale):
        row = np.full(VOCABULARY, scale, np.float32)
    else:
        row = (np.random.default_rng(seed).normal(0, 1, VOCABULARY) * scale).astype(np.float32)
    for token, value in special.items():
        row[token] = value
    return row


def drawn(model: LlamaModel, sampler: TokenSampler) -> int:
    """The token behind the only row that was computed."""
    (token,) = model.draw([sampler])
    if isinstance(token, EngineError):
        raise token
    return token


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaModel]:
    path = write("llama", tmp_path_factory.mktemp("models") / "llama.gguf")
    model = LlamaModel(ModelOptions(path, 64, threads=1))
    model.evaluate([Part(0, 0, [65], True)])
    yield model
    model.close()


@settings(max_examples=3000, deadline=None, derandomize=True)
@given(options=OPTIONS, row=ROWS, repeated=REPEATED)
def test_what_is_drawn_is_finite_and_allowed_or_nothing_is(
    model: LlamaModel, options: SamplingOptions, row: npt.NDArray[np.float32], repeated: list[int]
) -> None:
    sampler = model.make_sampler(options)
    try:
        for token in repeated if options.json_schema is None else ():
            sampler.accept(token)
        for _ in range(3):
            model.logits()[0][:] = row
            token = drawn(model, sampler)
            if token == NO_TOKEN:
                break
            assert 0 <= token < VOCABULARY
            assert math.isfinite(row[token])
            assert not (options.ignore_eos and model.is_end(token))
            if model.is_end(token):
                break
    except NotFinite:
        assert not np.isfinite(row.max()) or abs(row.max()) > 1e30
    except EngineError:
        assert options.json_schema is not None, "only a schema can leave nothing to draw"
    finally:
        sampler.close()


@pytest.mark.parametrize("spoilt", [math.nan, math.inf])
@pytest.mark.parametrize("token", [0, 65, VOCABULARY - 1])
@pytest.mark.parametrize(
    "options", [{"temperature": 0.0}, {}, {"json_schema": SCHEMA}, {"repeat_penalty": 1.2}]
)
def test_one_number_that_is_none_spoils_a_row(
    model: LlamaModel, spoilt: float, token: int, options: dict[str, Any]
) -> None:
    sampler = model.make_sampler(SamplingOptions(**options))
    model.logits()[0][:] = _row(0, 1.0, {token: spoilt})
    with pytest.raises(NotFinite, match="NaN"):
        drawn(model, sampler)
    sampler.close()


def test_only_an_end_that_is_ignored_could_be_drawn(model: LlamaModel) -> None:
    (end, *_) = model.vocabulary.eog_tokens
    sampler = model.make_sampler(SamplingOptions(ignore_eos=True))
    model.logits()[0][:] = _row(0, -math.inf, {end: 1.0})
    assert drawn(model, sampler) == NO_TOKEN
    sampler.close()
