"""Schemas come from strangers: what is too much is refused before anything parses it."""

import json
from typing import Any

import pytest

from worker.engine.grammar import (
    MAX_DEPTH,
    MAX_REPETITION,
    MAX_SCHEMA_BYTES,
    SchemaError,
    grammar_of,
)


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"type": "integer"}}},
        {"type": "array", "items": {"type": "string"}, "maxItems": MAX_REPETITION},
        {"enum": ["a", 1, None]},
        {"type": "object", "properties": {"maxItems": {"type": "integer"}}},
        nested(MAX_DEPTH // 2),
        {},
    ],
)
def test_a_schema_becomes_a_grammar(schema: dict[str, Any]) -> None:
    assert "root ::=" in grammar_of(json.dumps(schema))


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ("{", "not JSON"),
        ("[" * 10_000, "not JSON"),
        (json.dumps(nested(40)), "deep"),
        (json.dumps({"enum": ["x" * MAX_SCHEMA_BYTES]}), "longer"),
        ('{"type": "string", "maxLength": 1000000}', "maxLength"),
        ('{"type": "array", "items": {}, "minItems": -1}', "minItems"),
        ('{"type": "array", "items": {}, "maxItems": 1e9}', "maxItems"),
        ('{"type": "array", "items": {}, "maxItems": true}', "maxItems"),
        ('{"$ref": "#"}', "ref"),
        ('{"type": "string", "pattern": "^(a+)+$"}', "pattern"),
        ('{"type": "nonsense"}', "cannot be followed"),
        ('"text"', "object"),
    ],
)
def test_what_cannot_be_followed_is_refused(schema: str, reason: str) -> None:
    with pytest.raises(SchemaError, match=reason):
        grammar_of(schema)
