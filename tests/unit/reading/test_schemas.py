"""Schemas of tools inside a larger schema."""

from typing import Any

import jsonschema

from worker.reading.schemas import lifted

_POINT = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
_TOOL = {
    "type": "object",
    "properties": {"at": {"$ref": "#/$defs/Point"}, "then": {"$ref": "#"}},
    "required": ["at"],
    "$defs": {"Point": _POINT},
}


def _is_valid(value: Any, *names: str) -> bool:
    definitions: dict[str, Any] = {}
    calls = {name: lifted(_TOOL, name, definitions) for name in names}
    schema = {"type": "object", "properties": calls, "$defs": definitions}
    return bool(jsonschema.Draft202012Validator(schema).is_valid(value))


def test_references_hold_inside_a_larger_schema() -> None:
    assert _is_valid({"one": {"at": {"x": 1}}, "two": {"at": {"x": 2}}}, "one", "two")
    assert not _is_valid({"one": {"at": {"x": "1"}}}, "one", "two")


def test_a_schema_that_refers_to_itself_is_followed() -> None:
    assert _is_valid({"one": {"at": {"x": 1}, "then": {"at": {"x": 1}}}}, "one")
    assert not _is_valid({"one": {"at": {"x": 1}, "then": {"at": {}}}}, "one")


def test_a_schema_without_references_is_left_as_it_is() -> None:
    definitions: dict[str, Any] = {}
    assert lifted(_POINT, "one", definitions) == _POINT
    assert not definitions
