"""The grammar of a call as Python writes it, in llguidance's Lark."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from worker.engine.interface import Grammar
from worker.reading.schemas import lifted
from worker.reading.tools import CallRules


def grammar_of(rules: CallRules, *, is_list: bool) -> Grammar:
    """What has to follow the opening: a bracket, if there is one, and one call."""
    bracket = '"[" ' if is_list else ""
    names = " | ".join(f"tool_{number}" for number in range(len(rules.tools)))
    lines = [f"start: {bracket}({names})"]
    for number, name in enumerate(rules.tools):
        lines += _tool(f"tool_{number}", name, rules.schema_of(name))
    return Grammar("lark", "\n".join(lines))


def _tool(rule: str, name: str, schema: Mapping[str, Any]) -> list[str]:
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not all(key.isidentifier() for key in properties):
        properties = {}
    if not properties:
        definitions: dict[str, Any] = {}
        body = lifted(dict(schema), name, definitions)
        value = json.dumps({**body, "$defs": definitions} if definitions else body)
        return [
            f'{rule}: {json.dumps(f"{name}(**")} {rule}_any ")"',
            f"{rule}_any: %json {value}",
        ]
    lines = [f'{rule}: {json.dumps(f"{name}(")} {rule}_first_0 ")"']
    required = schema.get("required", ())
    lines += _order(rule, [key in required for key in properties])
    for number, key in enumerate(properties):
        value = json.dumps(_value_schema(schema, name, key))
        lines += [
            f"{rule}_item_{number}: {json.dumps(f'{key}=')} {rule}_value_{number}",
            f"{rule}_value_{number}: %json {value}",
        ]
    return lines


def _order(rule: str, is_required: Sequence[bool]) -> list[str]:
    """Arguments in the schema's order, commas between them; `first` where none has come before."""
    count = len(is_required)
    lines = [f'{rule}_first_{count}: ""', f'{rule}_rest_{count}: ""']
    for number, is_needed in enumerate(is_required):
        item, rest = f"{rule}_item_{number}", f"{rule}_rest_{number + 1}"
        first, more = f"{item} {rest}", f'", " {item} {rest}'
        if not is_needed:
            first, more = f"{first} | {rule}_first_{number + 1}", f"{more} | {rest}"
        lines += [f"{rule}_first_{number}: {first}", f"{rule}_rest_{number}: {more}"]
    return lines


def _value_schema(schema: Mapping[str, Any], name: str, key: str) -> Any:
    """The schema of one argument, with the definitions that it refers to."""
    definitions: dict[str, Any] = {}
    lifted(dict(schema), name, definitions)
    alone = {**schema, "properties": {key: schema["properties"][key]}}
    value = lifted(alone, name, {})["properties"][key]
    return {**value, "$defs": definitions} if isinstance(value, dict) and definitions else value
