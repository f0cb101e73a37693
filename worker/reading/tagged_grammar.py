"""The grammar of calls whose arguments stand in markup one by one, in llguidance's Lark."""

import json
from collections.abc import Mapping
from typing import Any, Protocol

from worker.engine.interface import Grammar
from worker.reading.markup import HOLE
from worker.reading.schemas import lifted
from worker.reading.tools import CallRules


class Markup(Protocol):
    """Markup of a call, as `TaggedCalls` describes it."""

    @property
    def after_name(self) -> str: ...

    @property
    def behind_counter(self) -> str: ...

    @property
    def before_key(self) -> str: ...

    @property
    def after_keys(self) -> tuple[str, ...]: ...

    @property
    def after_value(self) -> str: ...

    @property
    def after(self) -> str: ...


def grammar_of(markup: Markup, rules: CallRules) -> Grammar:
    """What has to follow the opening: a tool's name, its arguments in order, the closing markup."""
    lines = ["start: " + " | ".join(f"tool_{number}" for number in range(len(rules.tools)))]
    for number, name in enumerate(rules.tools):
        lines += _tool(markup, f"tool_{number}", name, rules.schema_of(name))
    return Grammar("lark", "\n".join(lines))


def _tool(markup: Markup, rule: str, name: str, schema: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    items = [json.dumps(name + markup.after_name)]
    if markup.behind_counter:
        items.append(f"/[0-9]+/ {json.dumps(markup.behind_counter)}")
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not properties:
        properties = {}
    if not properties and HOLE not in markup.after_value:  # a grammar cannot repeat a name
        items.append(f"{rule}_any*")
        lines += _any_argument(markup, f"{rule}_any")
    definitions: dict[str, Any] = {}
    lifted(dict(schema), name, definitions)
    for number, key in enumerate(properties):
        value = lifted({**schema, "properties": {key: properties[key]}}, name, {})
        argument = f"{rule}_{number}"
        lines += _argument(markup, argument, key, value["properties"][key], definitions)
        items.append(argument if key in schema.get("required", ()) else f"{argument}?")
    items.append(json.dumps(markup.after))
    return [f"{rule}: {' '.join(items)}", *lines]


def _argument(
    markup: Markup, rule: str, key: str, schema: Any, definitions: Mapping[str, Any]
) -> list[str]:
    is_text = isinstance(schema, dict) and schema.get("type") == "string"
    after_key = markup.after_keys[0 if is_text else -1]
    begin = json.dumps(markup.before_key + key + after_key)
    end = json.dumps(markup.after_value.replace(HOLE, key))
    if is_text and isinstance(schema.get("enum"), list):
        words = " | ".join(json.dumps(str(word), ensure_ascii=False) for word in schema["enum"])
        return [f"{rule}: {begin} ({words}) {end}"]
    if is_text:
        return [f"{rule}: {begin} {rule}_text", f"{rule}_text[suffix={end}]: /(?s:.*)/"]
    body = {**schema, "$defs": definitions} if isinstance(schema, dict) and definitions else schema
    return [f"{rule}: {begin} {rule}_value {end}", f"{rule}_value: %json {json.dumps(body)}"]


def _any_argument(markup: Markup, rule: str) -> list[str]:
    begin, between = json.dumps(markup.before_key), json.dumps(markup.after_keys[0])
    end = json.dumps(markup.after_value)
    return [
        f'{rule}: {begin} /[^<>"{{}}\\n]+/ {between} {rule}_text',
        f"{rule}_text[suffix={end}]: /(?s:.*)/",
    ]
