"""Calls whose arguments stand in markup one by one: `<parameter=city>Paris</parameter>`."""

import ast
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from shared.wire.parts import ToolCall
from worker.engine.interface import Grammar
from worker.reading.call_syntax import NoCall, Written
from worker.reading.markup import begins_of, behind_blanks, first_of
from worker.reading.tagged_grammar import grammar_of
from worker.reading.tools import CallRules

_LONGEST_PYTHON: Final = 10_000
"""In characters; the syntax tree of a megabyte takes a second and hundreds of megabytes."""


@dataclass(frozen=True)
class TaggedCalls:
    """The syntax, as the template writes it.

    Args:
        section, end_section: markup around all calls.
        before, after_name, after: markup around the name, and behind all arguments.
        before_key, after_keys, after_value: markup around an argument's name and value; in between
            it may depend on the value's kind.
    """

    before: str
    after_name: str
    before_key: str
    after_keys: tuple[str, ...]
    after_value: str
    after: str
    section: str = ""
    end_section: str = ""

    @property
    def opening(self) -> str:
        """Markup in front of the first name."""
        return self.section + self.before

    @property
    def begins(self) -> tuple[str, ...]:
        """The markup without blanks; a call may come without its section."""
        return begins_of(self.opening, self.before)

    def parser(self, rules: CallRules, first_index: int) -> "TaggedCallParser":
        """A parser."""
        return TaggedCallParser(self, rules, first_index)

    def describe(self) -> str:
        """A few words for a person."""
        return f"marked arguments in {self.opening.strip()}"


@dataclass
class TaggedCallParser:
    """Reads calls up to the markup behind each."""

    syntax: TaggedCalls
    rules: CallRules
    first_index: int
    _calls: list[ToolCall] = field(default_factory=list)
    _position: int = 0
    """Behind the last call, or behind the markup in front of the next."""
    _whole: int = 0
    """Behind the last whole call."""
    _searched: int = 0
    _is_in_call: bool = True

    def read(self, text: str, *, is_whole: bool) -> Written | None:
        try:
            return self._read(text, is_whole=is_whole)
        except NoCall:
            if not self._calls:
                raise
            return Written(tuple(self._calls), self._whole)

    def _read(self, text: str, *, is_whole: bool) -> Written | None:
        after = self.syntax.after.strip()
        while True:
            if not self._is_in_call:
                written = self._behind(text, is_whole=is_whole)
                if written is not None or not self._is_in_call:
                    return written
            at = text.find(after, max(self._position, self._searched))
            if at < 0:
                self._searched = max(self._position, len(text) - len(after))
                if is_whole:
                    raise NoCall
                return None
            call = self._call(text[self._position : at], len(self._calls))
            if call is None:
                raise NoCall
            self._calls.append(call)
            self._position = self._whole = at + len(after)
            self._is_in_call = False

    def _behind(self, text: str, *, is_whole: bool) -> Written | None:
        """The calls, once it is clear that no other follows; None if one does, or still may."""
        before, end = self.syntax.before.strip(), self.syntax.end_section.strip()
        rest = text[behind_blanks(text, self._position) :]
        if self.rules.use.parallel and rest.startswith(before):
            self._position = len(text) - len(rest) + len(before)
            self._is_in_call = True
            return None
        if end and rest.startswith(end):
            return Written(tuple(self._calls), len(text) - len(rest) + len(end))
        may_follow = self.rules.use.parallel and before.startswith(rest)
        if (may_follow or (end and end.startswith(rest))) and not is_whole:
            return None
        return Written(tuple(self._calls), self._position)

    def _call(self, body: str, index: int) -> ToolCall | None:
        mark = self.syntax.after_name.strip() or self.syntax.before_key.strip()
        name, _, rest = body.partition(mark) if mark in body else (body, "", "")
        if not self.syntax.after_name.strip():
            rest = body[len(name) :]
        arguments = self._arguments(name.strip(), rest)
        if arguments is None:
            return None
        return self.rules.call(name.strip(), arguments, None, self.first_index + index)

    def _arguments(self, name: str, body: str) -> dict[str, Any] | None:
        """The arguments; None if something else stands between them."""
        if name not in self.rules.tools:
            return None
        schema = json.loads(self.rules.tools[name].parameters)
        properties = schema.get("properties") if isinstance(schema, dict) else None
        properties = properties if isinstance(properties, dict) else {}
        begin, end = self.syntax.before_key.strip(), self.syntax.after_value.strip()
        arguments: dict[str, Any] = {}
        rest = body.strip()
        while rest:
            if not rest.startswith(begin):
                return None
            rest = rest[len(begin) :]
            found = first_of(rest, [mark.strip() for mark in self.syntax.after_keys])
            if found is None:
                return None
            at, mark = found
            key, (value, closed, rest) = rest[:at].strip(), rest[at + len(mark) :].partition(end)
            if not closed:
                return None
            rest = rest.strip()
            arguments[key] = _value(self._unpadded(value), properties.get(key))
        return arguments

    def _unpadded(self, value: str) -> str:
        """A value without the blanks that belong to the markup around it."""
        after_key = self.syntax.after_keys[0]
        before = after_key[len(after_key.rstrip()) :]
        after = self.syntax.after_value[
            : len(self.syntax.after_value) - len(self.syntax.after_value.lstrip())
        ]
        return value.removeprefix(before).removesuffix(after)

    def forced(self, text: str) -> str:
        """Nothing: the grammar holds the markup."""
        del text
        return ""

    def grammar(self, text: str) -> Grammar | None:
        """A call, until it is whole."""
        del text
        return None if self._calls else self._grammar

    @cached_property
    def _grammar(self) -> Grammar:
        return grammar_of(self.syntax, self.rules)


def _value(text: str, schema: Any) -> Any:
    """An argument by its schema: a string as it is, anything else as JSON, if it is any."""
    if isinstance(schema, dict) and _is_of_strings(schema):
        return text
    # Some templates show values as Python does, which takes long to read.
    readers = (json.loads, ast.literal_eval)[: 2 if len(text) <= _LONGEST_PYTHON else 1]
    for read in readers:
        try:
            return _as_json(read(text.strip()))
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
    return text


def _is_of_strings(schema: Mapping[str, Any]) -> bool:
    """Whether a schema allows strings alone."""
    kind, values = schema.get("type"), schema.get("enum")
    if kind is None and isinstance(values, list) and values:
        return all(isinstance(value, str) for value in values)
    return kind in ("string", ["string"]) or isinstance(schema.get("const"), str)


def _as_json(value: Any) -> Any:
    """A value if JSON can hold it.

    Raises:
        TypeError, ValueError: it cannot.
    """
    return json.loads(json.dumps(value, allow_nan=False))
