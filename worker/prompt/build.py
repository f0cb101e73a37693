"""From a conversation's history to a prompt, trimmed to its window."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from typing import Final

import orjson

from shared.errors import ContextLengthExceeded, ConversationTooLong, NoRoomToContinue
from shared.wire.claim import Claim
from shared.wire.history import History
from shared.wire.messages import ChatMessage, StoredMessage
from shared.wire.turn_request import Thinking, TurnRequest
from worker.prompt.layout import Layout
from worker.prompt.message import PromptMessage
from worker.prompt.prompt import Prompt, PromptTurn
from worker.prompt.standing import num_tokens
from worker.prompt.window import Budget, split_turns, trim
from worker.prompt.writer import EncodedPrompt, PromptWriter
from worker.template.chat_template import MustRun
from worker.template.options import NO_OPTIONS, TemplateOptions

_SHORT: Final = 4096
"""Characters that are tokenized in about a millisecond."""


async def prepare_prompt(
    writer: PromptWriter, claim: Claim, history: History, budget: Budget, thinking: Thinking
) -> Prompt:
    """The prompt of a turn.

    It is built in a thread, as templates and long conversations take their time; but at once where
    that is shorter than the way to a thread and back.

    Args:
        thinking: how much the model thinks in turns that do not say so.

    Raises:
        ContextLengthExceeded, ConversationTooLong: it does not fit.
        UnusableRequest: the model's chat template refuses it.
    """
    request = claim.request
    options = _options(request, thinking)

    def build(writer: PromptWriter) -> Prompt:
        if request.messages or request.is_plain:
            return build_stateless_prompt(writer, request, budget, options)
        return build_prompt(writer, claim, history, budget, options)

    if _is_short(request, history):
        with contextlib.suppress(MustRun):
            return build(writer.at_once)
    return await asyncio.to_thread(build, writer)


def _is_short(request: TurnRequest, history: History) -> bool:
    contents = [message.content for message in (*request.messages, *request.earlier)]
    contents += [message.content for message in history.messages]
    contents += [message.content for turn in history.pinned for message in turn]
    contents += [request.prompt, history.context]
    return sum(map(len, contents)) <= _SHORT and not request.tool_use.tools


def _options(request: TurnRequest, thinking: Thinking) -> TemplateOptions:
    use = request.tool_use
    return TemplateOptions(
        tools=() if use.choice == "none" else use.tools,
        thinking=request.thinking if request.thinking != "auto" else thinking,
        variables=orjson.loads(request.template_options) if request.template_options else {},
    )


def build_prompt(
    writer: PromptWriter,
    claim: Claim,
    history: History,
    budget: Budget,
    options: TemplateOptions = NO_OPTIONS,
) -> Prompt:
    """Assemble instructions, the turns in view and the new prompt.

    Raises:
        ContextLengthExceeded: instructions, prompt and what stands of a reply leave no room.
        ConversationTooLong: the conversation does not fit and must not be cut.
    """
    request = claim.request
    context, num_opening = _new_context(request, history)
    in_force = history.context if context is None else context
    instructions = "\n\n".join(filter(None, (request.instructions, in_force)))
    system = (PromptMessage.says("system", instructions),) if instructions else ()
    brought_along = _brought_along(writer, claim, history.next_number, num_opening)
    past = [*history.messages, *brought_along]
    new = _new_message(request, past)
    turns, num_bound = _bound_to(new, prompt_turns(writer, past))
    layout = Layout(pinned=_pinned(writer, history, budget), turns=turns)
    frame = _Frame(system=system, new=new, options=options, num_bound=num_bound)
    try:
        shown = _trimmed(writer, claim, layout, frame, budget)
    except ContextLengthExceeded:
        if not layout.has_pins:
            raise
        # No prompt is refused for what is pinned.
        shown = _trimmed(writer, claim, layout.unpinned, frame, budget)
    prompt = Prompt(
        token_ids=shown.encoded.token_ids,
        system=system,
        turns=shown.layout.turns[shown.dropped :],
        pinned=shown.layout.pinned_without(shown.dropped),
        new=new,
        number=history.next_number + len(brought_along),
        earlier=history.turns + sum(message.role == "assistant" for message in brought_along),
        brought_along=brought_along,
        context=context,
        options=options,
        opening=shown.encoded.opening,
    )
    if prompt.offset > 1 and not request.truncate:
        raise ConversationTooLong(shown.untrimmed, budget.window)
    return prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """What a prompt shows besides earlier turns.

    Args:
        num_bound: how many of these stay in front of the new message in any case.
    """

    system: tuple[PromptMessage, ...]
    new: PromptMessage
    options: TemplateOptions
    num_bound: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trimmed:
    """A prompt that fits, without the `dropped` oldest turns; tokens if none were left out."""

    layout: Layout
    dropped: int
    encoded: EncodedPrompt
    untrimmed: int


def _trimmed(
    writer: PromptWriter, claim: Claim, layout: Layout, frame: _Frame, budget: Budget
) -> _Trimmed:
    @cache
    def encoded(dropped: int) -> EncodedPrompt:
        contents = layout.contents_without(dropped)
        return writer.encode([*frame.system, *contents, frame.new], frame.options)

    def measure(dropped: int) -> int:
        return len(encoded(dropped).token_ids)

    dropped = _num_dropped(claim, writer, len(layout.turns) - frame.num_bound, measure, budget)
    return _Trimmed(layout=layout, dropped=dropped, encoded=encoded(dropped), untrimmed=measure(0))


def _pinned(writer: PromptWriter, history: History, budget: Budget) -> tuple[PromptTurn, ...]:
    """The pinned turns before the window: the last ones that fit half of the prompt."""
    turns = [turn for messages in history.pinned for turn in prompt_turns(writer, messages)]
    room = budget.prompt_limit // 2
    for place in range(len(turns) - 1, -1, -1):
        room -= sum(len(writer.tokenize(one.message.content)) for one in turns[place].contents)
        if room < 0:
            return tuple(turns[place + 1 :])
    return tuple(turns)


def prompt_turns(writer: PromptWriter, past: Sequence[StoredMessage]) -> tuple[PromptTurn, ...]:
    """Stored messages as turns, in the token ids that this model knows of them."""
    return tuple(
        PromptTurn(
            number=turn[0].number,
            contents=tuple(_content(writer, message) for message in turn),
            pins=tuple(message.number for message in turn if message.is_pinned),
        )
        for turn in split_turns(past)
    )


def _num_dropped(
    claim: Claim,
    writer: PromptWriter,
    num_turns: int,
    measure: Callable[[int], int],
    budget: Budget,
) -> int:
    """How many of the oldest turns to leave out.

    A reply that is continued belongs to what has to fit. It needs no certain room behind it: as
    long as there is any, it goes on.

    Args:
        measure: tokens of the prompt when so many turns are left out.
    """
    if claim.standing is None:
        return trim(num_turns, measure, budget)
    num_standing = num_tokens(writer, claim.standing.message)
    try:
        return trim(num_turns, lambda dropped: measure(dropped) + num_standing, budget)
    except ContextLengthExceeded as error:
        if (length := measure(num_turns) + num_standing) < budget.window:
            return num_turns
        raise NoRoomToContinue(length, error.budget) from None


def _new_message(request: TurnRequest, past: Sequence[StoredMessage]) -> PromptMessage:
    """The message that is to be answered: what the user says, or the result of a call."""
    if not request.call_id:
        return PromptMessage.says("user", request.prompt)
    calls = {call.id: call.name for message in past for call in message.tool_calls}
    return PromptMessage(
        message=ChatMessage(
            role="tool",
            content=request.prompt,
            call_id=request.call_id,
            name=calls.get(request.call_id, ""),
        )
    )


def _bound_to(
    new: PromptMessage, turns: tuple[PromptTurn, ...]
) -> tuple[tuple[PromptTurn, ...], int]:
    """The turns, and how many of the last ones stay in view with the new message.

    Instructions that stand right in front of the prompt stay there, and so does the call whose
    result the prompt is.
    """
    if new.role == "tool":
        return turns, min(1, len(turns))
    return _with_its_instructions(turns)


def _brought_along(
    writer: PromptWriter, claim: Claim, first_number: int, num_opening: int
) -> tuple[StoredMessage, ...]:
    """The request's earlier messages as they are stored, without those that are instructions."""
    return tuple(
        StoredMessage(
            number=first_number + place - num_opening,
            role=message.role,
            content=message.content,
            timestamp_ms=claim.created_ms,
            tokens=len(writer.tokenize(message.content)),
            job_id=claim.job_id,
            place=place,
            reasoning=message.reasoning,
            tool_calls=message.tool_calls,
            call_id=message.call_id,
            name=message.name,
        )
        for place, message in enumerate(claim.request.earlier)
        if place >= num_opening
    )


def _new_context(request: TurnRequest, history: History) -> tuple[str | None, int]:
    """The conversation's new context, if it changes, and how many of `earlier` went into it.

    Instructions in front of everything else become part of the context, which is never trimmed.
    """
    opening = list(takewhile(lambda message: message.role == "system", request.earlier))
    if history.next_number > 1 or not opening:
        return request.context, 0
    before = history.context if request.context is None else request.context
    context = "\n\n".join(filter(None, (before, *(message.content for message in opening))))
    return context, len(opening)


def _with_its_instructions(turns: tuple[PromptTurn, ...]) -> tuple[tuple[PromptTurn, ...], int]:
    """Split off instructions right in front of the prompt; also returns how many turns they are."""
    if not turns or turns[-1].is_answered:
        return turns, 0
    *earlier, last = turns
    instructions = list(
        takewhile(lambda message: message.role == "system", reversed(last.contents))
    )
    split = len(last.contents) - len(instructions)
    parts = (last.contents[:split], last.contents[split:])
    numbers = (last.number, last.number + split)
    apart = [
        PromptTurn(number=number, contents=part, pins=last.pins)
        for number, part in zip(numbers, parts, strict=True)
        if part
    ]
    return (*earlier, *apart), int(bool(instructions))


def build_stateless_prompt(
    writer: PromptWriter,
    request: TurnRequest,
    budget: Budget,
    options: TemplateOptions = NO_OPTIONS,
) -> Prompt:
    """Assemble what the client sent, nothing of it left out.

    Raises:
        ContextLengthExceeded: it leaves no room for a reply.
    """
    messages = [PromptMessage(message=message) for message in request.messages]
    if request.is_plain:
        messages = [PromptMessage.says("user", request.prompt)]
        encoded = writer.encode_plain(request.prompt)
    elif messages[-1].role == "assistant":
        encoded = writer.encode_begun(messages[:-1], messages[-1].message.content, options)
    else:
        encoded = writer.encode(messages, options)
    if len(encoded.token_ids) > budget.prompt_limit:
        raise ContextLengthExceeded(len(encoded.token_ids), budget.window)
    return Prompt(
        token_ids=encoded.token_ids,
        system=(),
        turns=(),
        new=messages[-1],
        number=1,
        earlier=0,
        options=options,
        opening=encoded.opening,
    )


def _content(writer: PromptWriter, message: StoredMessage) -> PromptMessage:
    if message.fingerprint != writer.fingerprint:
        return PromptMessage(message=message.message)
    return PromptMessage.of_reply(
        message.message, token_ids=message.token_ids, written_ids=message.written_ids
    )
