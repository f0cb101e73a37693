"""Calls whose arguments stand in markup one by one: `<parameter=city>Paris</parameter>`."""

import json
from dataclasses import dataclass, field
from functools import cached_property

from shared.wire.parts import ToolCall
from worker.engine.interface import Grammar
from worker.reading.call_syntax import NoCall, Written
from worker.reading.markup import (
    begins_of,
    behind_blanks,
    find_mark,
    is_begun,
    match_mark,
    pieces_of,
    skipped,
)
from worker.reading.tagged_grammar import grammar_of
from worker.reading.tagged_values import OpenValue, arguments_of
from worker.reading.tools import CallRules


@dataclass(frozen=True)
class TaggedCalls:
    """The syntax, as the template writes it.

    Args:
        section, end_section: markup around all calls.
        before, after_name, after: markup around the name, and behind all arguments.
        behind_counter: what follows a number behind `after_name`, if calls are counted there.
        before_key, after_keys, after_value: markup around an argument's name and value; in between
            it may depend on the value's kind, and behind the value hold the name in a `HOLE`.
        item: the name of a list's items, if values stand in markup as arguments do.
    """

    before: str
    after_name: str
    before_key: str
    after_keys: tuple[str, ...]
    after_value: str
    after: str
    section: str = ""
    end_section: str = ""
    behind_counter: str = ""
    item: str = ""

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
    _start: int = 0
    """Behind the markup in front of a call."""
    _end: int = 0
    """Behind the last call."""
    _searched: int = 0
    _is_in_call: bool = True

    def read(self, text: str, *, is_whole: bool) -> Written | None:
        while self._is_in_call or self._enters_another(text):
            try:
                is_read = self._read_call(text)
            except NoCall:
                return self._written(text)
            if not is_read:
                return self._written(text) if is_whole else None
        return self._behind(text, is_whole=is_whole)

    def _written(self, text: str) -> Written:
        """The calls so far, where nothing follows that is one."""
        if not self._calls:
            raise NoCall
        return Written(tuple(self._calls), self._closed(text)[0], before_failed=True)

    def _read_call(self, text: str) -> bool:
        """Read one call; False as long as it is not whole.

        Raises:
            NoCall: it is none.
        """
        closing = pieces_of(self.syntax.after)[0]
        while (at := text.find(closing, max(self._start, self._searched))) >= 0:
            self._searched = at + len(closing)
            try:
                call = self._call(text[self._start : at], len(self._calls))
            except OpenValue:
                continue  # what was found is part of the value
            if call is None:
                raise NoCall
            self._calls.append(call)
            self._end, self._is_in_call = self._searched, False
            return True
        self._searched = max(self._start, self._searched, len(text) - len(closing))
        return False

    def _enters_another(self, text: str) -> bool:
        """Pass the markup in front of another call, if it is there."""
        if not self.rules.use.parallel:
            return False
        closed, _ = self._closed(text)
        start = match_mark(text, behind_blanks(text, closed), self.syntax.before)
        if start is None:
            return False
        self._start, self._searched, self._is_in_call = start, start, True
        return True

    def _closed(self, text: str) -> tuple[int, bool]:
        """The position behind the last call and its markup, and whether more of that may follow."""
        rest_of_after = pieces_of(self.syntax.after)[1:]
        return (
            skipped(text, self._end, "".join(rest_of_after))
            if rest_of_after
            else (self._end, False)
        )

    def _behind(self, text: str, *, is_whole: bool) -> Written | None:
        """The calls, once it is clear that no other follows."""
        position, is_open = self._closed(text)
        start = behind_blanks(text, position)
        may_follow = self.rules.use.parallel and is_begun(text, start, self.syntax.before)
        end, may_end = skipped(text, position, self.syntax.end_section)
        if (is_open or may_follow or may_end) and not is_whole:
            return None
        return Written(tuple(self._calls), end)

    def _call(self, body: str, index: int) -> ToolCall | None:
        """A call; None if it may not be made.

        Raises:
            OpenValue: its last value goes on.
        """
        mark = self.syntax.after_name.strip() or self.syntax.before_key.strip()
        found = find_mark(body, [mark])
        name, rest = (body, "") if found is None else (body[: found.start], body[found.end :])
        if found is not None and not self.syntax.after_name.strip():
            rest = body[found.start :]
        if self.syntax.behind_counter:
            rest = rest.partition(self.syntax.behind_counter.strip())[2]
        name = name.strip()
        if name not in self.rules.tools:
            return None
        schema = json.loads(self.rules.tools[name].parameters)
        arguments = arguments_of(rest, schema, self.syntax)
        if arguments is None:
            return None
        return self.rules.call(name, arguments, None, self.first_index + index)

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
