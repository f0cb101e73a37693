"""Schemas come from strangers: what cannot be followed is refused by name."""

import json
from typing import Any

import pytest
from llguidance import LLMatcher

from worker.engine.constraint import MAX_DEPTH, MAX_SCHEMA_BYTES, SchemaError, grammar_of


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {},
        {"type": "object", "properties": {"a": {"type": "integer"}}},
        {"type": "array", "items": {"type": "string"}, "maxItems": 1000},
        {"type": ["integer", "null"], "enum": ["a", 1, None]},
        {"type": "object", "properties": {"maxItems": {"type": "integer"}}},
        {"type": "object", "properties": {"pattern": {}, "$ref": {}, "nullable": {}, "": {}}},
        {"type": "object", "properties": {"x-guidance": {}, "properties": {"type": "object"}}},
        {"const": {"nullable": True, "x-guidance": 1}},
        {"$defs": {"a": {"type": "integer"}}, "type": "array", "items": {"$ref": "#/$defs/a"}},
        {"type": "array", "items": {"$ref": "#"}},
        {"type": "string", "pattern": "^[a-z]{2,1000}$"},
        {"allOf": [{"type": "integer"}, {"minimum": 3, "exclusiveMaximum": 9}]},
        {"enum": ["😀", 'quotes " and \\ and\nbreaks']},
        {"const": "\u0000\u0004"},
        {"type": "object", "title": "T", "description": "d", "default": {}, "examples": [1]},
        nested(MAX_DEPTH // 2),
    ],
)  # fmt: skip
def test_a_schema_becomes_a_grammar(schema: object) -> None:
    found = LLMatcher.validate_grammar_with_warnings(grammar_of(json.dumps(schema)))
    assert found == (False, [])


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ("{", "not JSON"),
        ("[" * 10_000, "not JSON"),
        ('"text"', "object"),
        (json.dumps(nested(100)), "deep"),
        (json.dumps({"enum": ["x" * MAX_SCHEMA_BYTES]}), "longer"),
        ('{"x-guidance": {"lenient": true}, "not": {}}', "x-guidance"),
        ('{"anyOf": [{"x-guidance": {"lenient": true}}]}', "x-guidance"),
        ('{"type": "string", "nullable": true}', "nullable"),
        ('{"type": "number", "minimum": 1, "exclusiveMinimum": true}', "exclusiveMinimum"),
    ],
)
def test_what_would_be_ignored_is_refused(schema: str, reason: str) -> None:
    with pytest.raises(SchemaError, match=reason):
        grammar_of(schema)
