"""Calls as Python writes them, in markup: `<calls>[weather(city="Paris"), clock()]</calls>`."""

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from shared.wire.parts import ToolCall
from worker.engine.interface import Grammar
from worker.reading.call_syntax import CallParser, NoCall, Written
from worker.reading.json_calls import JsonCalls
from worker.reading.markup import MOST_BLANKS, behind_blanks, without_blanks
from worker.reading.python_grammar import grammar_of
from worker.reading.python_scanner import PythonScanner
from worker.reading.python_values import arguments_in
from worker.reading.tools import CallRules

_BETWEEN: Final = " \n\r\t,;"
_NAME: Final = re.compile(r"""([^\s=(){}\[\],"'<>|]{1,200})\s{0,256}\(""")
_LONGEST_NAME: Final = 200


@dataclass(frozen=True)
class PythonCalls:
    """The syntax.

    Args:
        opening, closing: markup around all calls, as the template writes it.
        is_list: whether they stand in brackets.
        raw_quote: the quotation mark of arguments whose text is not escaped; "" if all are.
    """

    opening: str
    closing: str
    is_list: bool
    raw_quote: str = ""

    @property
    def begins(self) -> tuple[str, ...]:
        """The markup without blanks."""
        return (self.opening.strip(),)

    def parser(self, rules: CallRules, first_index: int) -> CallParser:
        """A parser."""
        return PythonCallParser(self, rules, first_index)

    def describe(self) -> str:
        """A few words for a person."""
        return f"Python's calls in {self.opening.strip()}"


@dataclass
class PythonCallParser:
    """Reads calls up to the markup behind them."""

    syntax: PythonCalls
    rules: CallRules
    first_index: int
    _calls: list[ToolCall] = field(default_factory=list)
    _position: int = 0
    _is_begun: bool = False
    _is_listed: bool = False
    """Whether a bracket has opened a list that none has closed yet."""
    _is_closed: bool = False
    _name: str = ""
    _scanner: PythonScanner | None = None
    _json: CallParser | None = None

    def read(self, text: str, *, is_whole: bool) -> Written | None:
        try:
            written = self._read(text, is_whole=is_whole)
        except NoCall:
            written = None
        else:
            if written is not None or not is_whole:
                return written
        if not self._calls:
            raise NoCall
        return Written(tuple(self._calls), self._position, before_failed=True)

    def _read(self, text: str, *, is_whole: bool) -> Written | None:
        if not self._is_begun and not self._begin(text):
            return None
        if self._json is not None:
            return self._json.read(text, is_whole=is_whole)
        while True:
            if self._calls and not self._name:
                start = self._behind_calls(text)
                if self._may_be_closing(text, start):
                    return None
                if not self._is_another(text, start):
                    return self._written(text, start)
            if not self._read_call(text):
                return None

    def _begin(self, text: str) -> bool:
        """Pass the bracket of a list; False as long as it is unclear what stands there."""
        start = behind_blanks(text, 0)
        self._is_listed = text.startswith("[", start)
        if self._is_listed:
            start = behind_blanks(text, start + 1)
        if start == len(text):
            return False
        self._is_begun = True
        if text[start] == "{":  # these models can be told to write JSON
            self._json = self._json_parser()
        else:
            self._position = start
        return True

    def _json_parser(self) -> CallParser:
        syntax = JsonCalls(
            opening=self.syntax.opening,
            closing=self.syntax.closing,
            is_list=self._is_listed,
            name=("name",),
            arguments=("arguments",),
        )
        return syntax.parser(self.rules, self.first_index)

    def _read_call(self, text: str) -> bool:
        """Read one call; False as long as it is not whole."""
        if not self._name and not self._read_name(text):
            return False
        self._scanner = self._scanner or self._new_scanner(text)
        end = self._scanner.end(text)
        if end is None:
            return False
        start = text.index("(", self._position)
        arguments = arguments_in(text[start:end], raw_quote=self.syntax.raw_quote)
        index = self.first_index + len(self._calls)
        call = self.rules.call(self._name, arguments, None, index)
        if call is None:
            raise NoCall
        self._calls.append(call)
        self._position, self._name, self._scanner = end, "", None
        return True

    def _new_scanner(self, text: str) -> PythonScanner:
        return PythonScanner(text.index("(", self._position), raw_quote=self.syntax.raw_quote)

    def _read_name(self, text: str) -> bool:
        """Look for the name in front of the next parenthesis; False as long as it is not whole."""
        start = behind_blanks(text, self._position, _BETWEEN)
        if not self._may_be_call(text, start):
            raise NoCall
        match = _NAME.match(text, start)
        self._name = match[1] if match is not None else ""
        return match is not None

    def _may_be_call(self, text: str, start: int) -> bool:
        """Whether a tool's name and a parenthesis stand there, or can still come."""
        match = _NAME.match(text, start)
        if match is not None:
            return match[1] in self.rules.tools
        begun = without_blanks(text[start : start + _LONGEST_NAME + MOST_BLANKS])
        return any(name.startswith(begun) for name in self.rules.tools)

    def _behind_calls(self, text: str) -> int:
        """Where something follows the calls so far and the bracket that closes their list."""
        start = behind_blanks(text, self._position, _BETWEEN)
        if self._is_listed and text.startswith("]", start):
            self._position = start + 1
            self._is_listed, self._is_closed = False, True
            start = behind_blanks(text, self._position, _BETWEEN)
        return start

    def _may_be_closing(self, text: str, start: int) -> bool:
        """Whether the closing markup may still come."""
        rest = text[start : start + len(self._closing)]
        return start == len(text) or (self._closing.startswith(rest) and rest != self._closing)

    def _is_another(self, text: str, start: int) -> bool:
        """Whether another call follows, as it has to in a list that is open."""
        return self._is_listed or (not self._is_closed and self._may_be_call(text, start))

    def _written(self, text: str, start: int) -> Written:
        if self._closing and text.startswith(self._closing, start):
            return Written(tuple(self._calls), start + len(self._closing))
        return Written(tuple(self._calls), self._position)

    @property
    def _closing(self) -> str:
        return self.syntax.closing.strip()

    def forced(self, text: str) -> str:
        """What closes a call that was constrained."""
        if self._calls and not self._name and not text[self._position :].strip():
            return ("]" if self._is_listed else "") + self.syntax.closing
        return ""

    def grammar(self, text: str) -> Grammar | None:
        """A call, until it is whole."""
        del text
        return None if self._calls else self._grammar

    @cached_property
    def _grammar(self) -> Grammar:
        return grammar_of(self.rules, is_list=self.syntax.is_list)
