"""Finds out how a model marks its thoughts, and what it writes around answers and calls."""

from dataclasses import dataclass, replace
from typing import Any, Final

from worker.reading.markup import HOLE
from worker.reading.reply_frame import ReplyFrame
from worker.reading.shown_replies import FIRST, OTHER, Rendered
from worker.reading.tags import elements_of, first_element, has_tag, has_word
from worker.reading.thought_marks import ThoughtMarks
from worker.template.chat_template import ChatTemplate

_COMMON_MARKS: Final = ThoughtMarks(begin="<think>\n", end="\n</think>\n\n")
_KNOWN_MARKS: Final = (
    _COMMON_MARKS,
    ThoughtMarks(begin="[THINK]", end="[/THINK]"),
    ThoughtMarks(begin="<|inner_prefix|>", end="<|inner_suffix|>"),
    ThoughtMarks(begin="<|START_THINKING|>", end="<|END_THINKING|>"),
)
"""For templates that mention these, and show no thoughts in earlier replies."""


def thought_marks(template: ChatTemplate) -> ThoughtMarks | None:
    """Markup around thoughts; None if the model has none, as far as its template tells."""
    rendered = Rendered(template)
    if template.traits.reasoning_field == "content":
        return _COMMON_MARKS
    text = rendered.reply(content="qanswerq", reasoning="qthoughtq") or ""
    if "qthoughtq" not in text:
        text = rendered.reply(reasoning="qthoughtq", tool_calls=(FIRST,)) or ""
    begin, found, rest = text.partition("qthoughtq")
    end, _, _ = rest.partition("qanswerq")
    if found and not begin.strip():
        begin = rendered.opened_thought
    if found and begin.strip() and end.strip():
        return ThoughtMarks(begin=begin, end=first_element(end, begin))
    return next((marks for marks in _KNOWN_MARKS if marks.bare_end in template.source), None)


def reply_frame(template: ChatTemplate, marks: ThoughtMarks | None) -> ReplyFrame:
    """Markup that belongs neither to thoughts nor to calls."""
    rendered = Rendered(template)
    shown = _Shown(rendered, marks)
    answer = shown.in_front_of_answer()
    behind_thought = shown.in_front_of_answer(reasoning="qthoughtq")
    opening = rendered.opening.strip()
    pieces = [*_split(answer, opening), *_split(behind_thought, opening)]
    pieces += [
        element for element in elements_of(rendered.end) if answer.strip() or has_word(element)
    ]
    if shown.opens_again(opening):
        pieces += [opening] if marks is None else [opening, marks.bare_end]
    frame = ReplyFrame(marks=tuple(dict.fromkeys(pieces)))
    frame = replace(frame, header=shown.header(frame))
    return replace(
        frame,
        answer=answer,
        answer_behind_thought=behind_thought,
        call=shown.in_front_of_call(frame),
        call_behind_thought=shown.in_front_of_call(frame, reasoning="qthoughtq"),
    )


@dataclass(frozen=True)
class _Shown:
    """Replies that a template shows, without their thoughts."""

    rendered: Rendered
    marks: ThoughtMarks | None

    def in_front_of_answer(self, **parts: Any) -> str:
        before, found, _ = self._behind_thought(content="qanswerq", **parts).partition("qanswerq")
        return before if found and has_tag(before) else ""

    def in_front_of_call(self, frame: ReplyFrame, **parts: Any) -> str:
        if not frame.marks:
            return ""
        text = self._behind_thought(tool_calls=(FIRST,), **parts)
        call = frame.unframed(text, (FIRST.name,))
        header = frame.header.replace(HOLE, FIRST.name)
        return text.removesuffix(call).removesuffix(header)

    def header(self, frame: ReplyFrame) -> str:
        """What names the tool in front of a call that names it once more."""
        text = frame.unframed(self._behind_thought(tool_calls=(FIRST,)))
        before, _, rest = text.partition(FIRST.name)
        tag = first_element(rest, "")
        names_again = FIRST.name in rest.partition("qkeyq")[0]
        if FIRST.id in text or not names_again or tag == rest or has_tag(before):
            return ""
        return before + HOLE + tag

    def opens_again(self, opening: str) -> bool:
        """Whether a reply consists of several messages."""
        replies: list[dict[str, Any]] = [{"content": "qanswerq", "reasoning": "qthoughtq"}]
        if self.rendered.has_tools:
            replies.append({"tool_calls": (FIRST,), "reasoning": "qthoughtq"})
            replies.append({"tool_calls": (FIRST, OTHER)})
        texts = (self.rendered.reply(**reply) or "" for reply in replies)
        return bool(opening) and any(opening in text for text in texts)

    def _behind_thought(self, **parts: Any) -> str:
        text = self.rendered.reply(**parts) or ""
        if self.marks is None:
            return text
        if "qthoughtq" in text:
            return text.partition("qthoughtq")[2].removeprefix(self.marks.end)
        return without_empty_thought(text, self.marks)


def without_empty_thought(text: str, marks: ThoughtMarks | None) -> str:
    """A reply without the empty thought that some templates put in front of it."""
    if marks is None:
        return text
    begin, found, rest = text.partition(marks.bare_end)
    is_empty = not begin.replace(marks.bare_begin, "").strip()
    return rest if found and is_empty else text


def _split(markup: str, opening: str) -> list[str]:
    """Markup without blanks at its ends, cut where a message opens."""
    pieces = markup.split(opening) if opening else [markup]
    return [piece.strip() for piece in pieces if piece.strip()]
