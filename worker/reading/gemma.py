"""Calls as Gemma 4 writes them: `<|tool_call>call:name{key:<|"|>text<|"|>,days:3}<tool_call|>`.

Between the braces stands something like JSON: names without quotes, strings between `<|"|>`,
numbers, `true`, `false`, `null`, lists and objects. Source: the chat template that comes with the
models.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Final

from shared.wire.parts import ToolCall
from worker.engine.interface import Grammar
from worker.reading.call_syntax import NoCall, Written
from worker.reading.markup import first_of
from worker.reading.tools import CallRules
from worker.reading.value_scanner import ValueScanner

BEGIN: Final = "<|tool_call>"
_CALL: Final = "call:"
END: Final = "<tool_call|>"
_QUOTE: Final = '<|"|>'
_KEY: Final = re.compile(r"\s*([^\s:{}\[\],<>]+)\s*:")
_PLAIN: Final = re.compile(r"[^,{}\[\]<>]+")
_MAX_DEPTH: Final = 64


@dataclass(frozen=True)
class GemmaCalls:
    """The syntax."""

    @property
    def begins(self) -> tuple[str, ...]:
        """The markup."""
        return (BEGIN,)

    @property
    def opening(self) -> str:
        """The markup in front of the name."""
        return BEGIN + _CALL

    def parser(self, rules: CallRules, first_index: int) -> "GemmaCallParser":
        """A parser."""
        return GemmaCallParser(rules, first_index)

    def describe(self) -> str:
        """A few words for a person."""
        return f"arguments without quotes in {BEGIN}"


@dataclass
class GemmaCallParser:
    """Reads one call up to its closing markup."""

    rules: CallRules
    index: int
    _searched: int = 0
    _in_string: bool = field(default=False)

    def read(self, text: str, *, is_whole: bool) -> Written | None:
        end = self._end(text)
        if end is None and not is_whole:
            return None
        body = text if end is None else text[:end]
        call = self._call(body.strip())
        if call is None:
            raise NoCall
        return Written((call,), len(text) if end is None else end + len(END))

    def forced(self, text: str) -> str:
        """The only name, if there is but one."""
        if len(self.rules.tools) == 1 and text.strip() in ("", _CALL):
            (name,) = self.rules.tools
            return f"{name}{{"
        return ""

    def grammar(self, text: str) -> Grammar | None:
        """None: these arguments are not constrained."""
        del text
        return None

    def _end(self, text: str) -> int | None:
        """Where the closing markup stands, outside strings."""
        while True:
            marks = (_QUOTE,) if self._in_string else (_QUOTE, END)
            found = first_of(text, marks, self._searched)
            if found is None:
                self._searched = max(self._searched, len(text) - len(END) + 1)
                return None
            at, mark = found
            if mark == END:
                return at
            self._searched = at + len(mark)
            self._in_string = not self._in_string

    def _call(self, body: str) -> ToolCall | None:
        name, brace, rest = body.removeprefix(_CALL).partition("{")
        if not brace:
            return None
        values = _Values("{" + rest)
        arguments = values.object(0)
        if values.text[values.position :].strip():
            return None
        return self.rules.call(name.strip(), arguments, None, self.index)


@dataclass
class _Values(ValueScanner):
    """Turns values into JSON text."""

    def object(self, depth: int) -> str:
        """An object, from its opening brace on."""
        self._expect("{")
        members: list[str] = []
        while not self._takes("}"):
            if members:
                self._expect(",")
            name = self._name()
            members.append(f"{json.dumps(name, ensure_ascii=False)}: {self._value(depth + 1)}")
        return f"{{{', '.join(members)}}}"

    def _value(self, depth: int) -> str:
        if depth > _MAX_DEPTH:
            raise NoCall
        self._skip_blanks()
        if self.text.startswith("{", self.position):
            return self.object(depth)
        if self._takes("["):
            return self._items(depth)
        if self._takes(_QUOTE):
            return json.dumps(self._until_quote(), ensure_ascii=False)
        return self._plain()

    def _items(self, depth: int) -> str:
        items: list[str] = []
        while not self._takes("]"):
            if items:
                self._expect(",")
            items.append(self._value(depth + 1))
        return f"[{', '.join(items)}]"

    def _plain(self) -> str:
        """A number or a word of JSON; any other word is a string whose quotes were forgotten."""
        match = _PLAIN.match(self.text, self.position)
        if match is None:
            raise NoCall
        self.position = match.end()
        word = match[0].strip()
        try:
            json.loads(word)
        except (ValueError, RecursionError):
            return json.dumps(word, ensure_ascii=False)
        return word

    def _name(self) -> str:
        if self._takes(_QUOTE):
            name = self._until_quote()
            self._expect(":")
            return name
        match = _KEY.match(self.text, self.position)
        if match is None:
            raise NoCall
        self.position = match.end()
        return match[1].strip('"')

    def _until_quote(self) -> str:
        end = self.text.find(_QUOTE, self.position)
        if end < 0:
            raise NoCall
        start, self.position = self.position, end + len(_QUOTE)
        return self.text[start:end]
