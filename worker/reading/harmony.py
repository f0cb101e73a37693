"""Reads what gpt-oss writes: messages with a channel each, in OpenAI's harmony format.

A reply is a row of messages: `<|channel|>analysis<|message|>…<|end|>` is a thought,
`<|start|>assistant<|channel|>final<|message|>…` the answer, and a message `to=functions.name` a
call. Source: the format's description in OpenAI's cookbook.
"""

import json
import re
from functools import cached_property
from typing import Final

from worker.engine.interface import Grammar, Part, PartKind
from worker.reading.json_scanner import JsonScanner
from worker.reading.markup import behind_blanks, first_of, held_length
from worker.reading.tools import CallRules

MESSAGE: Final = "<|message|>"
_START: Final = "<|start|>"
ENDS: Final = ("<|end|>", "<|call|>", "<|return|>", _START)
THOUGHT: Final = f"<|channel|>analysis{MESSAGE}"
FINAL: Final = f"<|channel|>final{MESSAGE}"
ANSWER: Final = f"<|end|>{_START}assistant{FINAL}"
_CALL: Final = f"{_START}assistant to=functions."
_BEHIND_NAME: Final = f"<|channel|>commentary json{MESSAGE}"
_MARKUP: Final = (*ENDS, MESSAGE, "<|channel|>", "<|constrain|>")
_SPELLED: Final = re.compile("|".join(map(re.escape, _MARKUP)))
_HEADER_WORDS: Final = (_START, "assistant", "<|channel|>", "<|constrain|>", MESSAGE, "to=")
_RECIPIENT: Final = re.compile(r"to=(?:functions\.)?([^\s<]+)")
_CHANNEL: Final = re.compile(r"<\|channel\|>\s*(\w+)")
_BLANKS: Final = re.compile(r"\s+")
_LONGEST_HEADER: Final = 400
_HEADER: Final = re.compile(
    r" ?(?:<\|start\|>)?[\w.]* ?(?:to=[^ <]*)? ?"
    r"(?:<\|channel\|> ?\w* ?(?:to=[^ <]*)? ?(?:<\|constrain\|>)? ?\w*)? ?"
)
"""What a header that is cut somewhere looks like, with single blanks."""


class HarmonyReader:
    """Reads a reply.

    Args:
        rules: which calls may be made.
        opening: the end of the prompt.
        answer_grammar: what the answer has to follow.
    """

    def __init__(self, *, rules: CallRules, opening: str, answer_grammar: Grammar | None) -> None:
        self._rules = rules
        self._answer_grammar = answer_grammar
        self._held = ""
        self._in_header = True
        self._header = ""
        self._kind: PartKind = "text"
        self._call_name = ""
        self._num_calls = 0
        self._searched = 0
        """Where the end of the message is looked for next."""
        self._arguments: JsonScanner | None = None
        self._arguments_end: int | None = None
        self._forced = ""
        self._grammars: dict[str, Grammar] = {}
        self.is_complete = False
        self.push(opening.rpartition(_START)[2].removeprefix("assistant"))
        if rules.is_forced and self._in_header:
            self._forced = THOUGHT

    # What `ReplyReader` asks for.

    def push(self, text: str, *, is_control: bool = False) -> list[Part]:
        """See `ReplyReader`."""
        if self.is_complete or (is_control and text not in _MARKUP):
            return []
        self._held += text
        return self._read(is_whole=False)

    def finish(self, ending: str = "") -> list[Part]:
        """See `ReplyReader`."""
        if self.is_complete:
            return []
        if ending in ENDS:
            self._held += ending
        return self._read(is_whole=True)

    @property
    def is_reasoning(self) -> bool:
        """See `ReplyReader`."""
        return not self._in_header and self._kind == "reasoning"

    @property
    def grammar(self) -> Grammar | None:
        """See `ReplyReader`."""
        if self._in_header:
            begun = self._held.rpartition("to=functions.")
            is_naming = self._is_forced_call and bool(begun[1]) and "<" not in begun[2]
            return self._names if is_naming and begun[2] not in self._rules.tools else None
        if self._kind == "call":
            return self._schema if self._rules.is_constrained and not self._is_whole_call else None
        return self._answer_grammar if self._kind == "text" else None

    def take_forced(self) -> str:
        """See `ReplyReader`."""
        forced, self._forced = self._forced, ""
        if forced or not self._is_forced_call:
            return forced
        if not self._in_header:
            return "<|call|>" if self._kind == "call" and self._is_whole_call else ""
        begun = self._held.rpartition("to=functions.")
        if begun[1] and begun[2] in self._rules.tools:
            return _BEHIND_NAME
        if begun[1] and not begun[2] and len(self._rules.tools) == 1:
            return next(iter(self._rules.tools)) + _BEHIND_NAME
        return ""

    def end_reasoning(self) -> None:
        """See `ReplyReader`."""
        if self.is_reasoning:
            self._forced = f"<|end|>{_CALL}" if self._is_forced_call else ANSWER

    def go_on_in(self, kind: PartKind) -> None:
        """See `ReplyReader`."""
        self._open("", "")
        self._kind, self._num_calls, self.is_complete = kind, 0, False
        if kind == "text" and self._is_forced_call:
            self._forced = f"<|end|>{_CALL}"

    # Reading.

    @property
    def _is_forced_call(self) -> bool:
        return self._rules.is_forced and not self._num_calls

    @cached_property
    def _names(self) -> Grammar:
        return Grammar("lark", "start: " + " | ".join(map(json.dumps, self._rules.tools)))

    @property
    def _schema(self) -> Grammar:
        if self._call_name not in self._grammars:
            schema = json.dumps(self._rules.schema_of(self._call_name))
            self._grammars[self._call_name] = Grammar("json", schema)
        return self._grammars[self._call_name]

    @property
    def _is_whole_call(self) -> bool:
        return self._arguments_end is not None

    def _read(self, *, is_whole: bool) -> list[Part]:
        parts: list[Part] = []
        while self._read_header(is_whole) if self._in_header else self._read_body(parts, is_whole):
            pass
        return parts

    def _read_header(self, is_whole: bool) -> bool:
        """Read up to a message's content; returns whether there is more to read."""
        header, found, rest = self._held.partition(MESSAGE)
        if not _may_be_header(header + found):
            # Another manner of writing: all of it is the answer.
            self._open("", self._held)
            return True
        if found:
            self._open(header, rest)
            return True
        if is_whole and not _is_cut_header(self._held):
            self._open("", self._held)
            return True
        if is_whole:
            self._held = ""
        return False

    def _open(self, header: str, rest: str) -> None:
        recipient, channel = _RECIPIENT.search(header), _CHANNEL.search(header)
        self._in_header, self._held, self._header = False, rest, header
        self._searched, self._arguments, self._arguments_end = 0, None, None
        self._call_name = recipient[1] if recipient is not None else ""
        if self._call_name in self._rules.tools:
            self._kind = "call"
        elif channel is not None and channel[1] == "analysis":
            self._kind = "reasoning"
        else:
            self._kind = "text"

    def _read_body(self, parts: list[Part], is_whole: bool) -> bool:
        """Read a message's content; returns whether there is more to read."""
        found = first_of(self._held, ENDS, self._searched)
        if found is not None:
            at, mark = found
            content, self._held = self._held[:at], self._held[at + len(mark) :]
            self._searched = 0
            self._close(parts, content)
            return not self.is_complete
        if self._kind == "call":
            self._searched = len(self._held) - held_length(self._held, ENDS)
            self._follow_arguments()
            if is_whole and self._held:
                content, self._held = self._held, ""
                self._close(parts, content)
            return False
        keep = 0 if is_whole else held_length(self._held, _MARKUP)
        border = len(self._held) - keep
        text, self._held = self._held[:border], self._held[border:]
        self._give(parts, text)
        return False

    def _follow_arguments(self) -> None:
        """Look whether a call's arguments are whole, though its message is not."""
        if self._arguments is None:
            start = behind_blanks(self._held, 0)
            if self._held.startswith("{", start):
                self._arguments = JsonScanner(start)
        if self._arguments is not None and self._arguments_end is None:
            self._arguments_end = self._arguments.end(self._held)

    def _close(self, parts: list[Part], content: str) -> None:
        was_reasoning = self._kind == "reasoning"
        if self._kind == "call":
            call = self._rules.call(self._call_name, content.strip(), None, self._num_calls)
            if call is None:
                self._kind = "text"
                self._give(parts, self._header + content)
            else:
                parts.append(Part("call", call.encode()))
                self._num_calls += 1
                self.is_complete = not self._rules.use.parallel
        else:
            self._give(parts, content)
        self._in_header = True
        if was_reasoning and self._is_forced_call:
            self._forced = _CALL

    def _give(self, parts: list[Part], text: str) -> None:
        text = _SPELLED.sub("", text)
        if text:
            parts.append(Part("reasoning" if self._kind == "reasoning" else "text", text))


def _is_cut_header(text: str) -> bool:
    """Whether what a reply ends with is the beginning of a header, and no text."""
    without_half_markup = text[: len(text) - held_length(text, _MARKUP)]
    return _HEADER.fullmatch(_BLANKS.sub(" ", without_half_markup)) is not None


def _may_be_header(text: str) -> bool:
    """Whether a text is, or can still become, what stands in front of a message's content."""
    stripped = text.lstrip()
    if len(text) > _LONGEST_HEADER:
        return False
    return any(stripped.startswith(word) or word.startswith(stripped) for word in _HEADER_WORDS)
