"""How a model marks its thoughts and its calls."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

from shared.wire.parts import ToolCall
from shared.wire.turn_request import ToolUse
from worker.engine.interface import Grammar, ReplyReader, UnusableRequest
from worker.reading import harmony
from worker.reading.call_syntax import CallSyntax
from worker.reading.derive import call_syntax, shown_call
from worker.reading.harmony import HarmonyReader
from worker.reading.reader import MarkupReader
from worker.reading.recipients import RecipientCalls, RecipientReader
from worker.reading.reply_frame import NO_FRAME, ReplyFrame
from worker.reading.shown_replies import SHOWN
from worker.reading.thought_marks import ThoughtMarks
from worker.reading.thoughts import reply_frame, thought_marks
from worker.reading.tools import CallRules
from worker.template.chat_template import ChatTemplate


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyFormat:
    """What readers need to know of a model; the same for all its replies.

    Args:
        marks: of thoughts; None if there are none.
        syntax: of calls; None if there are none.
        frame: other markup, which is dropped.
        is_harmony: whether all of a reply stands in messages with channels, as gpt-oss writes.
    """

    marks: ThoughtMarks | None = None
    syntax: CallSyntax | RecipientCalls | None = None
    frame: ReplyFrame = NO_FRAME
    is_harmony: bool = False

    @property
    def has_reasoning(self) -> bool:
        """Whether the model thinks."""
        return self.marks is not None

    @property
    def has_tools(self) -> bool:
        """Whether the model calls tools."""
        return self.syntax is not None

    @property
    def is_plain(self) -> bool:
        """Whether replies without tools are text and nothing else."""
        is_framed = bool(self.frame.marks) or isinstance(self.syntax, RecipientCalls)
        return self.marks is None and not is_framed

    def describe(self) -> str:
        """A line for a person; markup may have line breaks, and anything else."""
        if self.is_harmony:
            return "harmony: thoughts and calls in channels"
        thoughts = f"thoughts in {self.marks.bare_begin}" if self.marks else "no thoughts"
        calls = f"calls as {self.syntax.describe()}" if self.syntax else "no calls"
        line = " ".join(f"{thoughts}; {calls}".split())
        return "".join(letter if letter.isprintable() else "?" for letter in line)

    def closing_of(self, opening: str) -> str:
        """What stands between a prompt's end and an answer; closes a thought that is open."""
        if self.is_harmony:
            return harmony.FINAL
        if isinstance(self.syntax, RecipientCalls):
            return self.syntax.answer
        if self.marks is not None and self.marks.is_open_at_the_end_of(opening):
            return self.marks.end + self.frame.answer_behind_thought
        return self.frame.before_answer(opening)

    def new_reader(
        self,
        *,
        opening: str,
        tool_use: ToolUse,
        json_schema: str | None,
        call_id: Callable[[int], str],
    ) -> ReplyReader:
        """The reader of one reply.

        Args:
            opening: the end of its prompt.
            json_schema: what its text must follow, once thoughts have ended.
            call_id: makes the ids of calls, by their places.

        Raises:
            UnusableRequest: the model cannot do what is asked for.
        """
        rules = CallRules(tool_use, call_id)
        if rules.tools and self.syntax is None:
            raise UnusableRequest("the model's chat template does not say how tools are called")
        answer_grammar = None if json_schema is None else Grammar("json", json_schema)
        if self.is_harmony:
            return HarmonyReader(rules=rules, opening=opening, answer_grammar=answer_grammar)
        if isinstance(self.syntax, RecipientCalls):
            return RecipientReader(
                syntax=self.syntax, rules=rules, opening=opening, answer_grammar=answer_grammar
            )
        return MarkupReader(
            marks=self.marks,
            syntax=self.syntax,
            frame=self.frame,
            rules=rules,
            opening=opening,
            answer_grammar=answer_grammar,
        )


def derive_format(template: ChatTemplate) -> ReplyFormat:
    """What a model's template tells of its replies."""
    marks = thought_marks(template)
    is_harmony = marks is not None and marks.bare_begin == harmony.THOUGHT
    frame = NO_FRAME if is_harmony else reply_frame(template, marks)
    syntax = call_syntax(template, marks, frame)
    reply_format = ReplyFormat(marks=marks, syntax=syntax, frame=frame, is_harmony=is_harmony)
    if syntax is not None and not _reads_back(reply_format, template):
        return replace(reply_format, syntax=None)
    return reply_format


def _reads_back(reply_format: ReplyFormat, template: ChatTemplate) -> bool:
    """Whether a call that the template shows is read as that call: what is derived may be wrong."""
    shown = shown_call(template, reply_format.marks)
    if shown is None:
        return False
    text, tools = shown
    reader = reply_format.new_reader(
        opening="", tool_use=ToolUse(tools=tools), json_schema=None, call_id=str
    )
    parts = [*reader.push(text), *reader.finish()]
    calls = [ToolCall.decode(part.text) for part in parts if part.kind == "call"]
    return [(call.name, json.loads(call.arguments)) for call in calls] == [
        (SHOWN.name, json.loads(SHOWN.arguments))
    ]
