"""Splits what a model writes into thoughts, text and calls, where these are marked by markup."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from shared.wire.parts import ToolCall
from worker.engine.interface import Grammar, Part, PartKind
from worker.reading.call_syntax import CallParser, CallSyntax, NoCall, or_a_call
from worker.reading.markup import (
    HOLE,
    MOST_BLANKS,
    Found,
    begun_length,
    behind_blanks,
    find_mark,
    held_length,
    is_begun,
    without_blanks,
)
from worker.reading.reply_frame import NO_FRAME, ReplyFrame
from worker.reading.thought_marks import ThoughtMarks
from worker.reading.tools import CallRules

_BLANKS: Final = " \t\r\n"
_MOST_FAILED: Final = 32
"""Calls that turned out to be none, after which all is text: each costs a look at all behind it."""


class MarkupReader:
    """Reads a reply.

    Args:
        marks: of thoughts; None if the model has none.
        syntax: of calls; None if it makes none.
        rules: which calls may be made.
        opening: the end of the prompt.
        answer_grammar: what the text has to follow, once thoughts have ended.
        frame: other markup, which is dropped.
    """

    def __init__(
        self,
        *,
        marks: ThoughtMarks | None,
        syntax: CallSyntax | None,
        rules: CallRules,
        opening: str,
        answer_grammar: Grammar | None,
        frame: ReplyFrame = NO_FRAME,
    ) -> None:
        self._marks = marks
        self._syntax = syntax if rules.tools else None
        self._rules = rules
        self._frame = frame
        self._frame_marks = frame.marks_with(rules.tools if self._syntax else ())
        self._answer_grammar = or_a_call(answer_grammar, self._syntax)
        self._held = ""
        self._controls: set[str] = set()
        """Spellings of control tokens that have come."""
        self._num_failed = 0
        self._kind: PartKind = "text"
        if marks is not None and marks.is_open_at_the_end_of(opening):
            self._kind = "reasoning"
        self._has_text = False
        self._skips_blanks = self._kind == "reasoning"
        self._parser: CallParser | None = None
        self._begun = ""
        """Markup that has begun the call that is being read."""
        self._num_calls = 0
        self._call_ids: set[str] = set()
        self._forced = ""
        self._is_constrained = False
        self.is_complete = False
        self._begin_forced(frame.call, frame.before_answer(opening))

    # What `ReplyReader` asks for.

    def push(self, text: str, *, is_control: bool = False) -> list[Part]:
        """See `ReplyReader`."""
        if self.is_complete or (is_control and not self._is_markup(text)):
            return []
        if is_control:
            self._controls.add(text)
        self._held += text
        return self._read(is_whole=False)

    def finish(self, ending: str = "") -> list[Part]:
        """See `ReplyReader`."""
        del ending
        return [] if self.is_complete else self._read(is_whole=True)

    @property
    def is_reasoning(self) -> bool:
        """See `ReplyReader`."""
        return self._kind == "reasoning"

    @property
    def grammar(self) -> Grammar | None:
        """See `ReplyReader`."""
        if self._kind == "reasoning":
            return None
        if self._parser is not None:
            return self._parser.grammar(self._held) if self._is_constrained else None
        # Behind calls the reply may end.
        return self._answer_grammar if not self._num_calls else None

    def take_forced(self) -> str:
        """See `ReplyReader`."""
        forced, self._forced = self._forced, ""
        if not forced and self._parser is not None and self._is_constrained:
            forced = self._parser.forced(self._held)
        return forced

    def end_reasoning(self) -> None:
        """See `ReplyReader`."""
        if self._marks is not None and self._kind == "reasoning":
            self._forced = self._marks.end

    def go_on_in(self, kind: PartKind) -> None:
        """See `ReplyReader`."""
        self._kind, self._has_text, self._parser = kind, kind == "text", None
        self._held = self._begun = ""
        self._is_constrained = self._skips_blanks = self.is_complete = False
        self._num_calls = self._num_failed = 0
        self._begin_forced("", "")

    # Reading.

    def _is_markup(self, text: str) -> bool:
        """Whether a control token may be markup, or a part of it."""
        marks = [*self._frame_marks]
        if self._marks is not None:
            marks += [self._marks.begin, self._marks.end]
        if self._syntax is not None:
            marks += [self._syntax.opening, *self._syntax.begins]
        return self._parser is not None or any(text in mark for mark in marks)

    def _read(self, *, is_whole: bool) -> list[Part]:
        parts: list[Part] = []
        while True:
            step = self._step_of_state()
            if not step(parts, is_whole):
                return parts

    def _step_of_state(self) -> Callable[[list[Part], bool], bool]:
        if self._parser is not None:
            return self._read_call
        return self._read_thought if self._kind == "reasoning" else self._read_text

    def _read_thought(self, parts: list[Part], is_whole: bool) -> bool:
        """Read a thought; returns whether there is more to read."""
        assert self._marks is not None
        end = self._marks.bare_end
        if self._skips_blanks and not self._pass_second_begin(self._marks.bare_begin, is_whole):
            return False
        found = self._held.find(end)
        if found >= 0:
            self._give(parts, "reasoning", without_blanks(self._held[:found]))
            self._held = self._held[found + len(end) :]
            self._kind, self._skips_blanks = "text", True
            frame = self._frame
            self._begin_forced(frame.call_behind_thought, frame.answer_behind_thought)
            return True
        keep = 0 if is_whole else held_length(self._held, (end,))
        whole = self._held[: len(self._held) - keep]
        # Blanks at its end belong to the markup, if that follows.
        settled = without_blanks(whole)
        self._held = self._held[len(settled) :]
        self._give(parts, "reasoning", settled)
        if is_whole:
            self._held = ""
        return False

    def _pass_second_begin(self, begin: str, is_whole: bool) -> bool:
        """Drop the markup that opens a thought where the prompt has done so, as some models write.

        Returns:
            False as long as it cannot be told whether it is that.
        """
        while begin and (held := self._held.lstrip(_BLANKS)).startswith(begin):
            self._held = held[len(begin) :]
        return is_whole or not begin or not held or not begin.startswith(held)

    def _read_text(self, parts: list[Part], is_whole: bool) -> bool:
        """Read text up to markup; returns whether there is more to read."""
        if self._skips_blanks:
            self._held = self._held.lstrip(_BLANKS)
        marks = self._marks_in_text()
        found = find_mark(self._held, marks)
        if found is not None and not self._may_grow(found, is_whole):
            before, written = self._held[: found.start], self._held[found.start : found.end]
            self._held = self._held[found.end :]
            self._enter(parts, before, found.mark, written)
            return True
        if self._starts_bare_call():
            return True
        settled = self._settled_length(marks, is_whole)
        text, self._held = self._held[:settled], "" if is_whole else self._held[settled:]
        self._give(parts, "text", text)
        return False

    def _settled_length(self, marks: Sequence[str], is_whole: bool) -> int:
        """Length of what is text, whatever follows."""
        begun = begun_length(self._held, self._frame_marks if is_whole else marks)
        length = len(self._held) - begun
        if is_whole:  # markup that was cut is none of the text if the model began it as such
            is_markup = any(control in self._held[length:] for control in self._controls)
            return length if is_markup else len(self._held)
        # Blanks in front of markup, or of a bare call, are not text, if that follows.
        may_follow = marks or self._may_call_bare(behind=self._held[:length])
        return len(without_blanks(self._held[:length])) if may_follow else length

    def _marks_in_text(self) -> tuple[str, ...]:
        marks: list[str] = []
        if self._marks is not None and self._may_think:
            marks.append(self._marks.bare_begin)
        marks += self._frame_marks
        if self._syntax is not None and self._num_failed < _MOST_FAILED:
            marks += self._syntax.begins
        return tuple(marks)

    @property
    def _may_think(self) -> bool:
        """Whether a thought can begin: they come before all text."""
        begin = self._marks.bare_begin if self._marks is not None else ""
        if not begin or self._has_text:
            return False
        start = behind_blanks(self._held, 0)
        return start <= MOST_BLANKS and begin.startswith(self._held[start : start + len(begin)])

    def _may_grow(self, found: Found, is_whole: bool) -> bool:
        """Whether a longer mark may stand where a shorter one was found."""
        return not is_whole and any(
            other != found.mark and is_begun(self._held, found.start, other)
            for other in self._marks_in_text()
        )

    def _enter(self, parts: list[Part], before: str, mark: str, written: str) -> None:
        if self._marks is not None and mark == self._marks.bare_begin:
            self._kind, self._skips_blanks = "reasoning", True
            return
        text = without_blanks(before)
        self._give(parts, "text", text)
        if mark in self._frame_marks:
            self._skips_blanks = True
        else:
            self._open_call(before[len(text) :] + written)

    def _open_call(self, mark: str) -> None:
        assert self._syntax is not None
        self._begun = mark
        self._parser = self._syntax.parser(self._rules, self._num_calls)
        # What a grammar has to follow must not have begun.
        is_unwritten = not self._held.strip()
        self._is_constrained = self._rules.is_constrained and is_unwritten

    def _may_call_bare(self, *, behind: str) -> bool:
        """Whether a call without markup may stand behind a text: a reply begins with it."""
        if self._syntax is None or self._syntax.begins or self._has_text:
            return False
        is_blank = behind_blanks(behind, 0) == len(behind) <= MOST_BLANKS
        return is_blank and not self._num_calls and not self._num_failed

    def _starts_bare_call(self) -> bool:
        """Whether the reply begins with a call that has no markup in front of it."""
        start = behind_blanks(self._held, 0)
        if not self._held.startswith("{", start) or not self._may_call_bare(
            behind=self._held[:start]
        ):
            return False
        blanks, self._held = self._held[:start], self._held[start:]
        self._open_call(blanks)
        return True

    def _read_call(self, parts: list[Part], is_whole: bool) -> bool:
        """Read calls; returns whether there is more to read."""
        assert self._parser is not None
        try:
            written = self._parser.read(self._held, is_whole=is_whole)
        except NoCall:
            self._parser = None
            self._num_failed += 1
            self._give(parts, "text", self._begun)
            self._has_text = True
            return True
        if written is None:
            return False
        calls = written.calls if self._rules.use.parallel else written.calls[:1]
        parts += (Part("call", self._with_own_id(call).encode()) for call in calls)
        self._held = self._held[written.length :]
        self._num_failed += written.before_failed
        self._parser, self._is_constrained, self._skips_blanks = None, False, True
        self.is_complete = not self._rules.use.parallel
        return not self.is_complete

    def _with_own_id(self, call: ToolCall) -> ToolCall:
        """A call with an id that no other of the reply has: results are told apart by it."""
        if call.id in self._call_ids:
            call = replace(call, id=self._rules.call_id(self._num_calls))
        self._call_ids.add(call.id)
        self._num_calls += 1
        return call

    def _give(self, parts: list[Part], kind: PartKind, text: str) -> None:
        if self._skips_blanks:
            text = text.lstrip(_BLANKS)
        for control in self._controls:
            text = text.replace(control, "")
        if not text:
            return
        self._skips_blanks = False
        self._has_text = self._has_text or kind == "text"
        parts.append(Part(kind, text))

    def _begin_forced(self, before_call: str, before_answer: str) -> None:
        """Force the markup of a call that has to be made, or of an answer that has to be JSON."""
        if self._kind != "text":
            return
        if self._syntax is not None and self._rules.is_forced:
            self._forced = before_call + self._header + self._syntax.opening
            if not self._syntax.begins:
                self._open_call("")
        elif self._syntax is None and self._answer_grammar is not None:
            self._forced = before_answer

    @property
    def _header(self) -> str:
        """What names the only tool in front of its call, where the model writes that."""
        names = list(self._rules.tools)
        return self._frame.header.replace(HOLE, names[0]) if len(names) == 1 else ""
