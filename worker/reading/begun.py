"""A reply that another model has begun, as this one would have written it."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.wire.publication import PieceRecord
from worker.engine.interface import PartKind, Segment
from worker.reading import harmony
from worker.reading.reply_format import ReplyFormat
from worker.reading.thought_marks import ThoughtMarks


@dataclass(frozen=True, slots=True, kw_only=True)
class BegunReply:
    """What this model goes on behind.

    Args:
        segments: markup and what stands in it; none if it begins anew.
        kind: of the part that it goes on in; None if there is no reader.
    """

    segments: tuple[Segment, ...] = ()
    kind: PartKind | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Markup:
    """Around thought and text.

    Args:
        begin: in front of a thought.
        between: behind the thought and in front of the text.
        direct: in front of a text without a thought.
        ends: what a thought may not hold, as it would end it.
    """

    begin: str
    between: str
    direct: str
    ends: tuple[str, ...]


def begun_reply(
    reply_format: ReplyFormat,
    opening: str,
    pieces: Sequence[PieceRecord],
    *,
    is_tight: bool = False,
) -> BegunReply:
    """Thought and text of a reply in this model's own markup.

    The thought is over once there is text: a later one stays in the reply, and is not shown. A
    thought is not shown either if this model does not think, was told not to, or would take
    something in the thought for its end.

    Args:
        opening: the end of the prompt.
        is_tight: whether blanks behind the thought are left out, as a schema may not allow them.
    """
    kinds = [piece.kind for piece in pieces if piece.text]
    num_first = kinds.index("text") if "text" in kinds else len(kinds)
    shown = [piece for piece in pieces if piece.text]
    thought = "".join(each.text for each in shown[:num_first] if each.kind == "reasoning")
    text = "".join(each.text for each in shown if each.kind == "text")
    if reply_format.marks is None:
        before = _scaffold(reply_format.closing_of(opening))
        return _of([before, Segment(text)], "text") if text else BegunReply()
    is_open = reply_format.marks.is_open_at_the_end_of(opening)
    is_closed = not is_open and reply_format.marks.bare_begin in opening
    markup = _markup(reply_format, reply_format.marks, opening, is_tight=is_tight)
    if is_closed or any(end in thought for end in markup.ends):
        thought = ""
    begun = [_scaffold(markup.begin), Segment(thought)] if thought else []
    if not text:
        return _of(begun, "reasoning") if begun else BegunReply()
    between = markup.between if thought else markup.direct
    return _of([*begun, _scaffold(between), Segment(text)], "text")


def _markup(
    reply_format: ReplyFormat, marks: ThoughtMarks, opening: str, *, is_tight: bool
) -> _Markup:
    frame = reply_format.frame
    begin, between = marks.begin, marks.end + frame.answer_behind_thought
    direct = frame.before_answer(opening)
    ends: tuple[str, ...] = (marks.bare_end,)
    if reply_format.is_harmony:
        begin, between, direct = harmony.THOUGHT, harmony.ANSWER, harmony.FINAL
        ends = harmony.ENDS
    if marks.is_open_at_the_end_of(opening):
        begin, direct = "", between
    if is_tight:
        between, direct = between.rstrip(), direct.rstrip()
    return _Markup(begin=begin, between=between, direct=direct, ends=ends)


def _of(segments: Sequence[Segment], kind: PartKind) -> BegunReply:
    return BegunReply(segments=tuple(each for each in segments if each.text), kind=kind)


def _scaffold(text: str) -> Segment:
    return Segment(text, is_scaffold=True)
