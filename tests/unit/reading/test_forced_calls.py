"""A call that has to be made is made, whatever the model would write."""

import json
from typing import Any

import pytest
from llguidance import LLMatcher, LLTokenizer

from shared.wire.parts import ToolCall
from shared.wire.turn_request import ToolUse
from tests.unit.reading.readings import CLOCK, FAMILIES, VALID, WEATHER, format_of

_TAGGED = ("tagged arguments", "keys and values", "counted calls", "tags named by keys")
_PYTHON = ("Python", "Python in contents")


def _instance(schema: dict[str, Any]) -> Any:
    """The shortest value that follows a schema."""
    if "const" in schema:
        return schema["const"]
    if "anyOf" in schema:
        return _instance(schema["anyOf"][0])
    if schema.get("type") == "array":
        return [_instance(schema["items"])]
    if schema.get("type") == "string":
        return "A"
    properties = schema.get("properties", {})
    return {name: _instance(properties[name]) for name in schema.get("required", [])}


def _written(family: str, use: ToolUse, *, opening: str = "", before: str = "") -> list[str]:
    """Kinds and names of the parts of a reply by a model that does what it must, and no more."""
    reader = format_of(family).new_reader(
        opening=opening, tool_use=use, json_schema=None, call_id=lambda index: f"call_{index}"
    )
    parts = reader.push(before) if before else []
    for _ in range(8):
        grammar = reader.grammar
        if text := reader.take_forced():
            parts += reader.push(text)
        elif grammar is not None and grammar.kind == "json":
            parts += reader.push(json.dumps(_instance(json.loads(grammar.text))))
        elif grammar is not None and family in _TAGGED:
            parts += reader.push(VALID[family][VALID[family].index("weather") :])
        elif grammar is not None and family in _PYTHON:
            parts += reader.push('[weather(city="A")')
        elif grammar is not None:
            parts += reader.push(json.loads(grammar.text.removeprefix("start: ").split(" | ")[0]))
    parts += reader.finish()
    return [ToolCall.decode(p.text).name if p.kind == "call" else p.kind for p in parts]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_certain_tool_is_called(family: str) -> None:
    use = ToolUse(tools=(CLOCK, WEATHER), choice="=weather")
    assert _written(family, use) == ["weather"]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_certain_tool_is_called_once_the_thought_is_over(family: str) -> None:
    use = ToolUse(tools=(CLOCK, WEATHER), choice="=weather")
    parts = _written(family, use, opening="<think>\n", before="Hm.\n</think>\n\n")
    assert parts == ["reasoning", "weather"]


@pytest.mark.parametrize("family", FAMILIES)
def test_any_tool_is_called(family: str) -> None:
    use = ToolUse(tools=(WEATHER, CLOCK), choice="required")
    assert _written(family, use) == ["weather"]


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_is_forced_if_no_call_may_be_made(family: str) -> None:
    reader = format_of(family).new_reader(
        opening="", tool_use=ToolUse(tools=(CLOCK,), choice="none"), json_schema=None, call_id=str
    )
    assert reader.take_forced() == ""
    assert reader.grammar is None
    parts = [*reader.push(VALID[family]), *reader.finish()]
    assert {part.kind for part in parts} == {"text"}


@pytest.mark.parametrize("family", _TAGGED)
@pytest.mark.parametrize(
    ("old", "new", "is_allowed"),
    [
        ("A", "A <b>\n{c}", True),
        ("weather", "clock", True),
        ("weather", "other", False),
        ("city", "town", False),
    ],
)
def test_the_grammar_of_marked_arguments_allows_calls_of_the_tools_alone(
    family: str, old: str, new: str, is_allowed: bool
) -> None:
    use = ToolUse(tools=(WEATHER, CLOCK), choice="required")
    reader = format_of(family).new_reader(opening="", tool_use=use, json_schema=None, call_id=str)
    opening = reader.take_forced()
    reader.push(opening)
    grammar = reader.grammar
    assert grammar is not None
    tokenizer = LLTokenizer("byte")
    matcher = LLMatcher(tokenizer, LLMatcher.grammar_from_lark(grammar.text))
    written = VALID[family].removeprefix(opening).replace(old, new)
    written = written.removesuffix("<|close|>calls<|is|>").removesuffix("</calls>")  # is free
    token_ids = tokenizer.tokenize_str(written)
    is_whole = matcher.try_consume_tokens(token_ids) == len(token_ids) and matcher.is_accepting()
    if family == "tags named by keys" and new == "clock":
        is_allowed = False  # a grammar cannot repeat names that it does not know
    assert is_whole == is_allowed
