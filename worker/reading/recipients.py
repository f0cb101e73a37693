r"""Replies whose parts each name who they are for, as functionary 3.2 writes them.

Behind a mark stands a recipient and a line break, then what that one gets: the user, by a name of
its own, or a tool, which gets JSON. The prompt ends with the mark:
`all\nI look.>>>weather\n{"city": "Paris"}`.
"""

import json
from dataclasses import dataclass
from typing import Final

from shared.wire.parts import ToolCall
from worker.engine.interface import Grammar, Part, PartKind, UnusableRequest
from worker.reading.json_scanner import JsonScanner
from worker.reading.markup import behind_blanks, held_length, without_blanks
from worker.reading.tools import CallRules

_BLANKS: Final = " \t\r\n"
_MOST_FAILED: Final = 32
"""Beginnings of calls that turned out to be none, after which all is text."""


@dataclass(frozen=True)
class RecipientCalls:
    """The syntax.

    Args:
        mark: stands in front of each part; the first one stands in the prompt.
        user: the recipient of text.
    """

    mark: str
    user: str

    @property
    def answer(self) -> str:
        """What stands between a prompt and an answer."""
        return f"{self.user}\n"

    def describe(self) -> str:
        """A few words for a person."""
        return f"JSON behind {self.mark} and the name"


class RecipientReader:
    """Reads a reply.

    Args:
        syntax: how parts begin.
        rules: which calls may be made.
        opening: the end of the prompt, which may have begun the answer.
        answer_grammar: what text has to follow.

    Raises:
        UnusableRequest: a tool has the user's name.
    """

    def __init__(
        self,
        *,
        syntax: RecipientCalls,
        rules: CallRules,
        opening: str,
        answer_grammar: Grammar | None,
    ) -> None:
        if syntax.user in rules.tools:
            raise UnusableRequest(f"the model calls its user {syntax.user!r}: rename that tool")
        self._syntax = syntax
        self._rules = rules
        self._held = ""
        self._mark = ""
        """What has begun the part whose recipient or call is being read."""
        self._call_name = ""
        self._scanner: JsonScanner | None = None
        self._in_header = syntax.mark + syntax.answer not in opening
        self._num_calls = 0
        self._num_failed = 0
        self._skips_blanks = False
        self._forced = self._first_forced(answer_grammar)
        self._names = _names(rules)
        self._answer_grammar = self._answer_or_call(answer_grammar)
        self._schemas: dict[str, Grammar] = {}
        self.is_complete = False

    # What `ReplyReader` asks for.

    def push(self, text: str, *, is_control: bool = False) -> list[Part]:
        """See `ReplyReader`."""
        if self.is_complete or is_control:
            return []
        self._held += text
        return self._read(is_whole=False)

    def finish(self, ending: str = "") -> list[Part]:
        """See `ReplyReader`."""
        del ending
        return [] if self.is_complete else self._read(is_whole=True)

    @property
    def is_reasoning(self) -> bool:
        """See `ReplyReader`."""
        return False

    @property
    def grammar(self) -> Grammar | None:
        """See `ReplyReader`."""
        if self._num_calls:
            return None
        if self._call_name:
            return self._schema_of(self._call_name) if self._rules.is_constrained else None
        is_choosing = self._rules.is_forced and self._in_header
        return self._names if is_choosing else self._answer_grammar

    def take_forced(self) -> str:
        """See `ReplyReader`."""
        forced, self._forced = self._forced, ""
        return forced

    def end_reasoning(self) -> None:
        """See `ReplyReader`."""

    def go_on_in(self, kind: PartKind) -> None:
        """See `ReplyReader`."""
        del kind  # it is text: thoughts there are none
        self._held = self._mark = self._call_name = ""
        self._in_header = self._skips_blanks = self.is_complete = False
        self._num_calls = self._num_failed = 0
        self._forced = self._syntax.mark if self._rules.is_forced else ""

    # What has to follow.

    def _first_forced(self, answer_grammar: Grammar | None) -> str:
        """The recipient, where there is but one."""
        if not self._in_header:
            return ""
        if self._rules.is_forced:
            return f"{next(iter(self._rules.tools))}\n" if len(self._rules.tools) == 1 else ""
        return "" if answer_grammar is None or self._rules.tools else self._syntax.answer

    def _answer_or_call(self, answer: Grammar | None) -> Grammar | None:
        if answer is None or not self._rules.tools or not self._in_header:
            return answer
        recipients = f"{self._names.text} | {json.dumps(self._syntax.answer)} answer"
        return Grammar("lark", f"{recipients}\nanswer: %json {answer.text}")

    def _schema_of(self, name: str) -> Grammar:
        if name not in self._schemas:
            self._schemas[name] = Grammar("json", json.dumps(self._rules.schema_of(name)))
        return self._schemas[name]

    # Reading.

    def _read(self, *, is_whole: bool) -> list[Part]:
        parts: list[Part] = []
        while self._step(parts, is_whole):
            pass
        return parts

    def _step(self, parts: list[Part], is_whole: bool) -> bool:
        """Read on; returns whether there is more to read."""
        if self._call_name:
            return self._read_call(parts, is_whole)
        if self._in_header:
            return self._read_header(parts, is_whole)
        return self._read_text(parts, is_whole)

    def _read_header(self, parts: list[Part], is_whole: bool) -> bool:
        name, found, rest = self._held.partition("\n")
        if not found and not is_whole and self._may_be_recipient(name):
            return False
        self._in_header = False
        recipient = without_blanks(name) if found else ""
        if recipient == self._syntax.user:
            self._mark, self._held, self._skips_blanks = "", rest, False
        elif recipient in self._rules.tools and self._num_failed < _MOST_FAILED:
            self._mark, self._held = f"{self._mark}{name}\n", rest
            self._call_name, self._scanner = recipient, None
        else:
            self._fail(parts)
        return True

    def _may_be_recipient(self, begun: str) -> bool:
        names = (self._syntax.user, *self._rules.tools)
        return any(name.startswith(without_blanks(begun)) for name in names)

    def _read_text(self, parts: list[Part], is_whole: bool) -> bool:
        at = self._held.find(self._syntax.mark)
        if at >= 0:
            text = without_blanks(self._held[:at])
            self._give(parts, text)
            self._mark = self._held[len(text) : at] + self._syntax.mark
            self._held = self._held[at + len(self._syntax.mark) :]
            self._in_header = True
            return True
        keep = 0 if is_whole else held_length(self._held, (self._syntax.mark,))
        settled = self._held[: len(self._held) - keep]
        settled = settled if is_whole else without_blanks(settled)
        self._give(parts, settled)
        self._held = self._held[len(settled) :]
        return False

    def _read_call(self, parts: list[Part], is_whole: bool) -> bool:
        start = behind_blanks(self._held, 0)
        if start == len(self._held) and not is_whole:
            return False
        if not self._held.startswith("{", start):
            self._fail(parts)
            return True
        self._scanner = self._scanner or JsonScanner(start)
        end = self._scanner.end(self._held)
        if end is None:
            if is_whole:
                self._fail(parts)
            return is_whole
        written = self._held[:end].strip()
        call = self._rules.call(self._call_name, written, None, self._num_calls)
        if call is None:
            self._fail(parts)
            return True
        self._close(parts, call, end)
        return not self.is_complete

    def _close(self, parts: list[Part], call: ToolCall, end: int) -> None:
        parts.append(Part("call", call.encode()))
        self._num_calls += 1
        self._held, self._mark, self._call_name = self._held[end:], "", ""
        self._skips_blanks = True
        self.is_complete = not self._rules.use.parallel

    def _fail(self, parts: list[Part]) -> None:
        """What seemed to begin a part is text."""
        self._num_failed += bool(self._call_name)
        mark, self._mark, self._call_name = self._mark, "", ""
        self._give(parts, mark)

    def _give(self, parts: list[Part], text: str) -> None:
        if self._skips_blanks:
            text = text.lstrip(_BLANKS)
        if text:
            self._skips_blanks = False
            parts.append(Part("text", text))


def _names(rules: CallRules) -> Grammar:
    names = " | ".join(json.dumps(f"{name}\n") for name in rules.tools)
    return Grammar("lark", f"start: {names}")
