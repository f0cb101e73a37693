"""Calls that are JSON objects with name and arguments, in markup or bare."""

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from shared.wire.parts import ToolCall
from worker.engine.interface import Grammar
from worker.reading.call_syntax import NoCall, Written
from worker.reading.json_members import items_of, text_at
from worker.reading.json_scanner import JsonScanner
from worker.reading.markup import behind_blanks, skipped
from worker.reading.schemas import lifted
from worker.reading.tools import CallRules

Path = tuple[str, ...]
_BETWEEN: Final = " \n\r\t,;"


@dataclass(frozen=True)
class JsonCalls:
    """The syntax.

    Args:
        opening: markup in front of the first object or list, as the template writes it.
        closing: markup behind it.
        is_list: whether all calls stand in a list.
        name, arguments, id: members of a call's object that hold these.
        arguments_as_text: whether arguments are JSON text.
    """

    opening: str
    closing: str
    is_list: bool
    name: Path
    arguments: Path
    id: Path = ()
    arguments_as_text: bool = False

    @property
    def begins(self) -> tuple[str, ...]:
        """The markup without blanks."""
        return (self.opening.strip(),) if self.opening.strip() else ()

    def parser(self, rules: CallRules, first_index: int) -> "JsonCallParser":
        """A parser."""
        return JsonCallParser(self, rules, first_index)

    def describe(self) -> str:
        """A few words for a person."""
        where = f"in {self.opening.strip()}" if self.opening.strip() else "bare"
        return f"JSON {where}"

    def call_schema(self, rules: CallRules) -> dict[str, Any]:
        """What the text behind the opening has to follow."""
        definitions: dict[str, Any] = {}
        calls = [
            self._schema_of(name, lifted(rules.schema_of(name), name, definitions))
            for name in rules.tools
        ]
        one: dict[str, Any] = calls[0] if len(calls) == 1 else {"anyOf": calls}
        shared = {"$defs": definitions} if definitions else {}
        if not self.is_list:
            return {**one, **shared}
        most = {} if rules.use.parallel else {"maxItems": 1}
        return {"type": "array", "items": one, "minItems": 1, **most, **shared}

    def _schema_of(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        schema: dict[str, Any] = {}
        members: list[tuple[Path, Any]] = [(self.name, {"const": name})]
        members.append((self.arguments, arguments))
        for path, value in members:
            _put(schema, path, value)
        return schema


def _put(schema: dict[str, Any], path: Path, value: Any) -> None:
    """Add a required member to the schema of an object."""
    schema.setdefault("type", "object")
    schema.setdefault("additionalProperties", False)
    properties = schema.setdefault("properties", {})
    required = schema.setdefault("required", [])
    first, *rest = path
    if first not in required:
        required.append(first)
    if rest:
        _put(properties.setdefault(first, {}), tuple(rest), value)
    else:
        properties[first] = value


@dataclass
class JsonCallParser:
    """Reads objects one behind the other, or a list of them, up to the closing markup."""

    syntax: JsonCalls
    rules: CallRules
    first_index: int
    _calls: list[ToolCall] = field(default_factory=list)
    _position: int = 0
    _whole: int = 0
    """Behind the last whole call."""
    _scanner: JsonScanner | None = None

    def read(self, text: str, *, is_whole: bool) -> Written | None:
        try:
            return self._read(text, is_whole=is_whole)
        except NoCall:
            if not self._calls:
                raise
            return Written(tuple(self._calls), self._whole, before_failed=True)

    def _read(self, text: str, *, is_whole: bool) -> Written | None:
        while True:
            if self._calls:
                written = self._behind(text, is_whole=is_whole)
                if written is not None or not self._has_another(text):
                    return written
            end = self._value_end(text)
            if end is None:
                if is_whole:
                    raise NoCall
                return None
            self._take(text[self._position : end])
            self._position, self._whole, self._scanner = end, end, None

    def _has_another(self, text: str) -> bool:
        """Whether another object follows."""
        may_follow = not self.syntax.is_list and self.rules.use.parallel
        return may_follow and text.startswith("{", self._behind_blanks(text))

    def _behind_blanks(self, text: str) -> int:
        return behind_blanks(text, self._position, _BETWEEN)

    def _behind(self, text: str, *, is_whole: bool) -> Written | None:
        """The calls up to their closing markup; None as long as it, or another call, may follow."""
        end, may_close = skipped(text, self._position, self.syntax.closing, _BETWEEN)
        is_closed = end > self._position
        is_blank = self._behind_blanks(text) == len(text)
        may_follow = not self.syntax.is_list and self.rules.use.parallel and is_blank
        if (may_close or (may_follow and not is_closed)) and not is_whole:
            return None
        if not is_closed and self._has_another(text):
            return None
        return Written(tuple(self._calls), end)

    def _value_end(self, text: str) -> int | None:
        """Where the next object or list ends."""
        if self._scanner is None:
            start = self._behind_blanks(text)
            if start == len(text):
                return None
            if text[start] not in "{[":
                raise NoCall
            self._position = start
            self._scanner = JsonScanner(self._position)
        return self._scanner.end(text)

    def _take(self, value_text: str) -> None:
        try:
            value = json.loads(value_text)
        except (ValueError, RecursionError):
            raise NoCall from None
        written = items_of(value_text)
        calls: list[ToolCall] = []
        for item, text in zip(value if isinstance(value, list) else [value], written, strict=True):
            arguments = _member(item, self.syntax.arguments, {})
            if isinstance(arguments, dict) and arguments:
                arguments = text_at(text, self.syntax.arguments)
            call = self.rules.call(
                _member(item, self.syntax.name),
                arguments,
                _member(item, self.syntax.id) if self.syntax.id else None,
                self.first_index + len(self._calls) + len(calls),
            )
            if call is None:
                raise NoCall
            calls.append(call)
        if not calls:
            raise NoCall
        self._calls += calls

    def forced(self, text: str) -> str:
        """The closing markup, once a constrained value is whole."""
        if self._calls and not text[self._position :]:
            return self.syntax.closing
        return ""

    def grammar(self, text: str) -> Grammar | None:
        """The schema, until the value is whole."""
        del text
        return None if self._calls else self._grammar

    @cached_property
    def _grammar(self) -> Grammar:
        return Grammar("json", json.dumps(self.syntax.call_schema(self.rules)))


def _member(item: Any, path: Path, default: Any = None) -> Any:
    for name in path:
        if not isinstance(item, dict) or name not in item:
            return default
        item = item[name]
    return item
