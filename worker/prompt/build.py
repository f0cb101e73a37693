"""From a conversation's history to a prompt, trimmed to its window."""

import asyncio
from functools import cache
from itertools import takewhile
from typing import Final

from shared.errors import ContextLengthExceeded, ConversationTooLong
from shared.wire.claim import Claim, History
from shared.wire.messages import StoredMessage
from shared.wire.turn_request import TurnRequest
from worker.prompt.message import PromptMessage
from worker.prompt.prompt import Prompt, PromptTurn
from worker.prompt.window import Budget, split_turns, trim
from worker.prompt.writer import PromptWriter

_LONG_PROMPT: Final = 20_000
"""Characters from which on a prompt is built in a thread."""


async def prepare_prompt(
    writer: PromptWriter, claim: Claim, history: History, budget: Budget
) -> Prompt:
    """The prompt of a turn; a long one is built in a thread, to keep the event loop free.

    Raises:
        ContextLengthExceeded, ConversationTooLong: it does not fit.
    """
    request = claim.request

    def build() -> Prompt:
        if request.messages:
            return build_stateless_prompt(writer, request, budget)
        return build_prompt(writer, claim, history, budget)

    texts = [history.context, request.context or "", request.prompt]
    texts += [message.content for message in history.messages]
    texts += [message.content for message in (*request.messages, *request.earlier)]
    num_characters = sum(map(len, texts))
    return build() if num_characters < _LONG_PROMPT else await asyncio.to_thread(build)


def build_prompt(writer: PromptWriter, claim: Claim, history: History, budget: Budget) -> Prompt:
    """Assemble instructions, the turns in view and the new prompt.

    Raises:
        ContextLengthExceeded: instructions and prompt alone leave no room for a reply.
        ConversationTooLong: the conversation does not fit and must not be cut.
    """
    request = claim.request
    context, num_opening = _new_context(request, history)
    in_force = history.context if context is None else context
    instructions = "\n\n".join(filter(None, (request.instructions, in_force)))
    system = (PromptMessage.says("system", instructions),) if instructions else ()
    user = PromptMessage.says("user", request.prompt)
    brought_along = _brought_along(writer, claim, history.next_number, num_opening)
    turns = tuple(
        PromptTurn(
            number=turn[0].number, contents=tuple(_content(writer, message) for message in turn)
        )
        for turn in split_turns([*history.messages, *brought_along])
    )
    # Instructions that stand right in front of the prompt stay there.
    turns, num_pinned = _with_its_instructions(turns)

    @cache
    def rendered(dropped: int) -> list[int]:
        contents = [message for turn in turns[dropped:] for message in turn.contents]
        return writer.encode([*system, *contents, user])

    dropped = trim(len(turns) - num_pinned, lambda k: len(rendered(k)), budget)
    prompt = Prompt(
        token_ids=tuple(rendered(dropped)),
        system=system,
        turns=turns[dropped:],
        user=user,
        number=history.next_number + len(brought_along),
        earlier=history.turns + sum(message.role == "assistant" for message in brought_along),
        brought_along=brought_along,
        context=context,
    )
    if prompt.offset > 1 and not request.truncate:
        raise ConversationTooLong(len(rendered(0)), budget.window)
    return prompt


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
        PromptTurn(number=number, contents=part)
        for number, part in zip(numbers, parts, strict=True)
        if part
    ]
    return (*earlier, *apart), int(bool(instructions))


def build_stateless_prompt(writer: PromptWriter, request: TurnRequest, budget: Budget) -> Prompt:
    """Assemble the messages that the client sent, none of them left out.

    Raises:
        ContextLengthExceeded: they leave no room for a reply.
    """
    messages = [PromptMessage(message=message) for message in request.messages]
    token_ids = writer.encode(messages)
    if len(token_ids) > budget.prompt_limit:
        raise ContextLengthExceeded(len(token_ids), budget.window)
    return Prompt(
        token_ids=tuple(token_ids), system=(), turns=(), user=messages[-1], number=1, earlier=0
    )


def _content(writer: PromptWriter, message: StoredMessage) -> PromptMessage:
    if message.fingerprint != writer.fingerprint:
        return PromptMessage(message=message.message)
    return PromptMessage(
        message=message.message, token_ids=message.token_ids, written_ids=message.written_ids
    )
