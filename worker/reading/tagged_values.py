"""Values of arguments that stand in markup one by one."""

import ast
import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol

from worker.reading.markup import HOLE, find_mark, match_mark

_MAX_DEPTH: Final = 64
_LONGEST_PYTHON: Final = 10_000
"""In characters; the syntax tree of a megabyte takes a second and hundreds of megabytes."""


class Markup(Protocol):
    """Markup of arguments, as `TaggedCalls` describes it."""

    @property
    def before_key(self) -> str: ...

    @property
    def after_keys(self) -> tuple[str, ...]: ...

    @property
    def after_value(self) -> str: ...

    @property
    def item(self) -> str: ...


class OpenValue(Exception):
    """A value's closing markup is missing."""


class _Member(NamedTuple):
    key: str
    value: Any
    rest: str


def arguments_of(body: str, schema: Any, markup: Markup) -> dict[str, Any] | None:
    """All arguments; None if something else stands between them.

    Raises:
        OpenValue: the last one is not closed.
    """
    values = _Values(markup)
    arguments: dict[str, Any] = {}
    rest = body.strip()
    while rest:
        member = values.member(rest, schema, 0)
        if member is None:
            return None
        arguments[member.key], rest = member.value, member.rest
    return arguments


class _Values:
    """Reads the values that stand in a kind of markup."""

    def __init__(self, markup: Markup) -> None:
        self._begin = markup.before_key.strip()
        self._marks = [mark.strip() for mark in markup.after_keys]
        self._end = markup.after_value.strip()
        self._item = markup.item
        after_key, after_value = markup.after_keys[0], markup.after_value
        self._blanks_before = after_key[len(after_key.rstrip()) :]
        self._blanks_behind = after_value[: len(after_value) - len(after_value.lstrip())]

    def member(self, text: str, schema: Any, depth: int) -> _Member | None:
        """The argument, or member of an object, that a text begins with.

        Raises:
            OpenValue: it is not closed.
        """
        start = match_mark(text, 0, self._begin)
        found = None if start is None else find_mark(text, self._marks, start)
        if found is None or depth > _MAX_DEPTH:
            return None
        key, rest = text[start : found.start].strip(), text[found.end :]
        end = self._end.replace(HOLE, key)
        below = _schema_of(schema, key, self._item)
        if self._is_nested(rest, end) and not _is_of_strings(below):
            nested = self._members(rest.lstrip(), end, below, depth + 1)
            if nested is not None:
                value, rest = nested
                return _Member(key, value, rest.lstrip())
        closed = find_mark(rest, [end])
        if closed is None:
            raise OpenValue
        value = _value(self._unpadded(rest[: closed.start]), below)
        return _Member(key, value, rest[closed.end :].lstrip())

    def _is_nested(self, text: str, end: str) -> bool:
        """Whether a value consists of members with markup of their own."""
        stripped = text.lstrip()
        return (
            bool(self._item) and stripped.startswith(self._begin) and not stripped.startswith(end)
        )

    def _members(self, text: str, end: str, schema: Any, depth: int) -> tuple[Any, str] | None:
        """A value's members up to its end, and the text behind it."""
        members: list[_Member] = []
        while not text.startswith(end):
            member = self.member(text, schema, depth)
            if member is None:
                return None
            members.append(member)
            text = member.rest
        if all(member.key == self._item for member in members):
            return [member.value for member in members], text[len(end) :]
        return {member.key: member.value for member in members}, text[len(end) :]

    def _unpadded(self, value: str) -> str:
        """A value without the blanks that belong to the markup around it."""
        return value.removeprefix(self._blanks_before).removesuffix(self._blanks_behind)


def _schema_of(schema: Any, key: str, item: str) -> Any:
    """The schema of a member, or of a list's items."""
    if not isinstance(schema, Mapping):
        return None
    if item and key == item and "items" in schema:
        return schema["items"]
    properties = schema.get("properties")
    return properties.get(key) if isinstance(properties, Mapping) else None


def _value(text: str, schema: Any) -> Any:
    """An argument by its schema: a string as it is, anything else as JSON, if it is any."""
    if _is_of_strings(schema):
        return text
    # Some templates show values as Python does, which takes long to read.
    readers = (json.loads, ast.literal_eval)[: 2 if len(text) <= _LONGEST_PYTHON else 1]
    for read in readers:
        try:
            return _as_json(read(text.strip()))
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
    return text


def _is_of_strings(schema: Any) -> bool:
    """Whether a schema allows strings alone."""
    if not isinstance(schema, Mapping):
        return False
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
