"""Calls whose name stands in markup and whose arguments are JSON behind it."""

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from shared.wire.parts import ToolCall
from worker.engine.interface import Grammar
from worker.reading.call_syntax import NoCall, Written
from worker.reading.json_scanner import JsonScanner
from worker.reading.markup import begins_of, behind_blanks
from worker.reading.tools import CallRules

_BETWEEN: Final = " \n\r\t,"


@dataclass(frozen=True)
class NamedCalls:
    """The syntax, as the template writes it.

    Args:
        section, end_section: markup around all calls.
        before, after_name, after: markup around the name and behind the arguments of one call.
        has_id: whether the id stands where the name would: `functions.name:0`.
        id_mark: markup between name and id, if there are both.
        is_id_first: whether the id stands in front of the name, not behind it.
    """

    before: str
    after_name: str
    after: str
    section: str = ""
    end_section: str = ""
    has_id: bool = False
    id_mark: str = ""
    is_id_first: bool = False

    @property
    def opening(self) -> str:
        """Markup in front of the first name."""
        return self.section + self.before

    @property
    def begins(self) -> tuple[str, ...]:
        """The markup without blanks; a call may come without its section."""
        return begins_of(self.opening, self.before)

    def parser(self, rules: CallRules, first_index: int) -> "NamedCallParser":
        """A parser."""
        return NamedCallParser(self, rules, first_index)

    def describe(self) -> str:
        """A few words for a person."""
        return f"JSON behind the name in {self.opening.strip()}"


@dataclass
class NamedCallParser:
    """Reads name and arguments of one call after the other."""

    syntax: NamedCalls
    rules: CallRules
    first_index: int
    _calls: list[ToolCall] = field(default_factory=list)
    _position: int = 0
    _whole: int = 0
    """Behind the last whole call."""
    _name: str | None = None
    _given_id: str | None = None
    _scanner: JsonScanner | None = None
    _is_in_call: bool = True
    _grammars: dict[str, Grammar] = field(default_factory=dict)

    def read(self, text: str, *, is_whole: bool) -> Written | None:
        try:
            return self._read(text, is_whole=is_whole)
        except NoCall:
            if not self._calls:
                raise
            return Written(tuple(self._calls), self._whole, before_failed=True)

    def _read(self, text: str, *, is_whole: bool) -> Written | None:
        while True:
            if self._calls and not self._is_in_call:
                written = self._behind(text, is_whole=is_whole)
                if written is not None or not self._skip_before(text):
                    return written
            if not self._read_call(text):
                if is_whole:
                    raise NoCall
                return None

    def _read_call(self, text: str) -> bool:
        """Read one call; False as long as it is not whole."""
        if self._name is None and not self._read_name(text):
            return False
        assert self._name is not None
        start = behind_blanks(text, self._position)
        if start == len(text):
            return False
        if text[start] != "{":
            raise NoCall
        self._scanner = self._scanner or JsonScanner(start)
        end = self._scanner.end(text)
        if end is None:
            return False
        call = self.rules.call(
            self._name,
            text[start:end],
            self._given_id,
            self.first_index + len(self._calls),
        )
        if call is None:
            raise NoCall
        self._calls.append(call)
        self._position, self._whole, self._name, self._scanner = end, end, None, None
        self._is_in_call = False
        return True

    def _read_name(self, text: str) -> bool:
        mark = self.syntax.after_name.strip() or "{"
        rest = text[self._position :]
        at = rest.find(mark)
        if at < 0:
            if len(rest) > _longest_name(self.rules):
                raise NoCall
            return False
        name = rest[:at].strip()
        if self.syntax.id_mark:
            first, found, last = name.partition(self.syntax.id_mark.strip())
            swaps = found and self.syntax.is_id_first
            name, given_id = (last, first) if swaps else (first, last)
            name, self._given_id = name.strip(), given_id.strip() or None
        if self.syntax.has_id:
            self._given_id = name
            name = name.removeprefix("functions.").rpartition(":")[0] or name
        if name not in self.rules.tools:
            raise NoCall
        self._name = name
        self._position += at + (len(mark) if mark != "{" else 0)
        return True

    def _behind(self, text: str, *, is_whole: bool) -> Written | None:
        """The calls up to their closing markup; None as long as it, or another call, may follow."""
        after, end = self.syntax.after.strip(), self.syntax.end_section.strip()
        before = self.syntax.before.strip()
        position = _skipped(text, self._position, after)
        waits = position is None
        position = self._position if position is None else position
        closed = _skipped(text, position, end) if end else position
        if not waits and closed is not None and (end or not before):
            return Written(tuple(self._calls), closed)
        rest = text[behind_blanks(text, position, _BETWEEN) :]
        is_begun = bool(before) and before.startswith(rest[: len(before)])
        may_follow = self.rules.use.parallel and is_begun
        may_close = (waits and after.startswith(rest)) or (bool(end) and end.startswith(rest))
        if (may_follow or may_close) and not is_whole:
            return None
        if may_follow and rest.startswith(before):
            return None
        return Written(tuple(self._calls), position)

    def _skip_before(self, text: str) -> bool:
        """Pass the markup in front of another call, if it is there."""
        before = self.syntax.before.strip()
        position = _skipped(text, self._position, self.syntax.after.strip())
        position = self._position if position is None else position
        begun = _skipped(text, position, before) if before else None
        if begun is None or not self.rules.use.parallel:
            return False
        self._position, self._whole, self._is_in_call = begun, position, True
        return True

    def forced(self, text: str) -> str:
        """Markup between name and arguments, and behind them."""
        if self._calls and not text[self._position :].strip():
            return self.syntax.after + self.syntax.end_section
        if self._calls or self._name is not None:
            return ""
        name, given = self._begun_name(text), ""
        if name is None and not text.strip():
            name, given = "", self.rules.call_id(self.first_index) + self.syntax.id_mark
        if name in self.rules.tools:
            return self.syntax.after_name
        if len(self.rules.tools) == 1 and name == "":
            given += next(iter(self.rules.tools)) + self.syntax.after_name
        return given

    def _begun_name(self, text: str) -> str | None:
        """What there is of a name; None in front of the id that precedes it."""
        if not self.syntax.is_id_first:
            return text.strip()
        _, found, name = text.partition(self.syntax.id_mark.strip())
        return name.strip() if found else None

    def grammar(self, text: str) -> Grammar | None:
        """The names, then the schema of the one that was chosen."""
        if self._calls:
            return None
        if self._name is None:
            return self._names if self._is_name_begun(text) else None
        if self._name not in self._grammars:
            schema = json.dumps(self.rules.schema_of(self._name))
            self._grammars[self._name] = Grammar("json", schema)
        return self._grammars[self._name]

    def _is_name_begun(self, text: str) -> bool:
        begun = self._begun_name(text)
        if begun is None:
            return False
        return any(name.startswith(begun) and name != begun for name in self.rules.tools)

    @cached_property
    def _names(self) -> Grammar:
        names = " | ".join(json.dumps(name) for name in self.rules.tools)
        return Grammar("lark", f"start: {names}")


def _skipped(text: str, position: int, mark: str) -> int | None:
    """The position behind a mark and the blanks in front of it; None if it is not there."""
    if not mark:
        return position
    start = behind_blanks(text, position, _BETWEEN)
    return start + len(mark) if text.startswith(mark, start) else None


def _longest_name(rules: CallRules) -> int:
    return max(map(len, rules.tools), default=0) + 64
