"""The real model under random schemas: whatever it draws, what it finishes is valid."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bench.comparison.models import vocabulary_of
from tests.cores import MODEL_THREADS
from tests.servers import make_settings
from tests.tiny_model import write_vocabulary
from worker.engine.batcher import Batcher
from worker.engine.constraint import Constraints, SchemaError
from worker.engine.interface import EngineError, GenerationRequest, Grammar, Piece, SamplingOptions
from worker.engine.model import LlamaModel
from worker.engine.options import ModelOptions
from worker.engine.pacer import PrefillPacer
from worker.engine_setup import model_path

SLOTS = 8
EXAMPLES = int(os.environ.get("PALAVER_SCHEMA_EXAMPLES", "6"))
"""Of `SLOTS` schemas each; 63 make more than five hundred."""
HOT = SamplingOptions(temperature=1.5)
FINISHED: list[str] = []

NAMES = st.sampled_from(["a", "name", "", "$ref", "pattern", 'qu"ote', "é😀", "back\\slash", "\n"])
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=5)
SCALARS = st.one_of(TEXTS, st.integers(-1000, 1000), st.booleans(), st.none())
INTEGERS = st.integers(-50, 50)


def bounds(low: str, high: str, least: int = -50) -> st.SearchStrategy[dict[str, int]]:
    """None, one or both of two bounds, in the right order."""
    pair = st.tuples(st.integers(least, 20), st.integers(0, 30)).map(
        lambda pair: {low: pair[0], high: max(pair[0] + 1, 0) + pair[1]}
    )
    kept = st.sampled_from([(), (low,), (high,), (low, high)])
    return st.builds(lambda both, names: {name: both[name] for name in names}, pair, kept)


STRINGS = st.one_of(
    bounds("minLength", "maxLength", 0),
    st.sampled_from(
        [
            {"pattern": "^[a-c]{2,4}$"},
            {"pattern": "^(yes|no)$"},
            {"pattern": r"^\d{3}-[^a]$"},
            {"format": "date"},
            {"format": "uuid"},
            {"format": "ipv4"},
        ]
    ),
).map(lambda schema: {"type": "string", **schema})
NUMBERS = st.builds(
    lambda kind, limits, extra: {"type": kind, **limits, **extra},
    st.sampled_from(["integer", "number"]),
    st.one_of(bounds("minimum", "maximum"), bounds("exclusiveMinimum", "exclusiveMaximum")),
    st.sampled_from([{}, {}, {"multipleOf": 2}]),
)
LEAVES = st.one_of(
    st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"type": ["string", "null"]}]),
    STRINGS,
    NUMBERS,
    SCALARS.map(lambda value: {"const": value}),
    st.lists(SCALARS, min_size=1, max_size=3).map(lambda values: {"enum": values}),
)


def grown(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Schemas around schemas."""
    objects = st.dictionaries(NAMES, inner, min_size=1, max_size=3).flatmap(
        lambda properties: st.builds(
            lambda required, more: {
                "type": "object",
                "properties": properties,
                "required": sorted(required),
                "additionalProperties": more,
            },
            st.sets(st.sampled_from(sorted(properties))),
            st.sampled_from([False, False, {"type": "integer"}]),
        )
    )
    arrays = st.builds(
        lambda items, limits: {"type": "array", "items": items, **limits},
        inner,
        st.sampled_from([{"maxItems": 3}, {"minItems": 1, "maxItems": 2}, {"minItems": 2}]),
    )
    tuples = st.lists(inner, min_size=1, max_size=3).map(
        lambda items: {
            "type": "array",
            "prefixItems": items,
            "items": False,
            "minItems": len(items),
        }
    )
    either = st.lists(inner, min_size=1, max_size=3).map(lambda choices: {"anyOf": choices})
    return st.one_of(objects, arrays, tuples, either)


def named(schema: Any) -> dict[str, Any]:
    """The same by a reference, as Python's frameworks write what is nested."""
    items = {"$ref": "#/$defs/Item"}
    return {"$defs": {"Item": schema}, "type": "array", "items": items, "maxItems": 2}


ANONYMOUS = st.recursive(LEAVES, grown, max_leaves=4)
SCHEMAS = st.one_of(ANONYMOUS, ANONYMOUS, ANONYMOUS.map(named))


@pytest.fixture(scope="module")
def model() -> Iterator[LlamaModel]:
    path = model_path(make_settings("unix:///nowhere"))
    model = LlamaModel(ModelOptions(path, 384, threads=MODEL_THREADS, slots=SLOTS))
    yield model
    model.close()


def replies(model: LlamaModel, requests: list[SamplingOptions], tokens: int) -> list[Any]:
    """What each of these generations gave, all of them side by side: its pieces, or an error."""
    batcher = Batcher(model, PrefillPacer(model.batch_size, 2.0), swap_bytes=0)
    found: list[list[Piece | EngineError]] = [[] for _ in requests]
    prompt = tuple(model.vocabulary.tokenize("Give me an example of JSON:\n", special=False))
    for number, sampling in enumerate(requests):
        request = GenerationRequest(f"{number}", prompt, tokens, sampling=sampling)
        batcher.submit(request, found[number].append)
    while batcher.has_work:
        batcher.step()
    return found


def text_of(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


@pytest.mark.timeout(1200)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    # What fails is told as it is: each smaller try would take seconds.
    phases=[Phase.generate],
)
@given(schemas=st.lists(SCHEMAS, min_size=SLOTS, max_size=SLOTS))
def test_what_is_finished_is_valid(model: LlamaModel, schemas: list[Any]) -> None:
    requests = [
        replace(HOT, json_schema=json.dumps(schema), seed=number, ignore_eos=number % 4 == 0)
        for number, schema in enumerate(schemas)
    ]
    for schema, pieces in zip(schemas, replies(model, requests, 96), strict=True):
        if isinstance(pieces[-1], SchemaError):
            # Refused by name: bounds that nothing meets, a character that cannot be written.
            assert re.search("nsatisfiable|no tokens", str(pieces[-1])), (schema, pieces[-1])
            continue
        assert not isinstance(pieces[-1], EngineError), (schema, pieces[-1])
        assert pieces[-1].end is not None
        if pieces[-1].end.reason == "stop":
            FINISHED.append(text_of(pieces))
            value = json.loads(FINISHED[-1])
            jsonschema.validate(value, schema, format_checker=jsonschema.FormatChecker())


def test_most_were_finished() -> None:
    assert len(FINISHED) > EXAMPLES * SLOTS // 3


@pytest.mark.parametrize("temperature", [0.0, 1e-38, 2.0])
@pytest.mark.parametrize("ignore_eos", [False, True])
@pytest.mark.parametrize(
    "options", [{}, {"repeat_penalty": 5e-324}, {"repeat_penalty": 2.0, "min_p": 1.0}]
)
def test_no_combination_ends_the_process(
    model: LlamaModel, temperature: float, ignore_eos: bool, options: dict[str, Any]
) -> None:
    schemas = [
        {"const": "\u0004"},
        {"const": "\u0000"},
        {"enum": [1, None, "é😀"]},
        {"type": "boolean"},
    ]
    sampling = SamplingOptions(temperature=temperature, ignore_eos=ignore_eos, seed=1, **options)
    requests = [replace(sampling, json_schema=json.dumps(schema)) for schema in schemas]
    for schema, pieces in zip(schemas, replies(model, requests, 32), strict=True):
        assert pieces[-1].end.reason == "stop", "the pair ends when the schema is complete"
        jsonschema.validate(json.loads(text_of(pieces)), schema)


@pytest.mark.parametrize("keyword", ["uniqueItems", "contains", "propertyNames", "not", "if"])
def test_what_cannot_be_followed_is_named(model: LlamaModel, keyword: str) -> None:
    schema = {"type": "array", keyword: True}
    [pieces] = replies(model, [replace(HOT, json_schema=json.dumps(schema))], 8)
    assert isinstance(pieces[-1], SchemaError)
    assert keyword in str(pieces[-1])


@pytest.mark.parametrize("value", [1e-38, 9.9e-4])
def test_a_temperature_below_a_thousandth_is_greedy(model: LlamaModel, value: float) -> None:
    options = [SamplingOptions(temperature=0), SamplingOptions(temperature=value, seed=5)]
    greedy, cold = replies(model, options, 12)
    assert text_of(cold) == text_of(greedy)


SENTENCE_PIECES = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
SENTENCE_PIECES += ["▁", "▁name", "name", '▁"', '"', "a", "▁a"]


def test_names_can_be_written_with_vocabularies_that_put_a_blank_before_everything(
    tmp_path: Path,
) -> None:
    vocabulary = vocabulary_of(write_vocabulary(tmp_path / "spm.gguf", SENTENCE_PIECES))
    assert (
        b"".join(map(vocabulary.piece_of, vocabulary.tokenize("name", special=False))) == b" name"
    )
    schema = {"type": "object", "properties": {"name": {"const": "a"}}, "required": ["name"]}
    constraint = Constraints(vocabulary).of(Grammar("json", json.dumps(schema)))
    written = b""
    while not constraint.is_complete:
        token = int(constraint.allowed()[-1])
        constraint.accept(token)
        written += vocabulary.piece_of(token)
    jsonschema.validate(json.loads(written), schema)
