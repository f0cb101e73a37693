"""From a conversation's history to the token ids of a prompt, trimmed to its window."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from typing import Final

from shared.errors import ContextLengthExceeded, ConversationTooLong
from shared.wire.claim import Claim, History
from shared.wire.messages import StoredMessage
from shared.wire.turn_request import TurnRequest
from worker.engine.interface import Engine, PromptMessage, UnusableRequest
from worker.engine.prefixes import common_prefix
from worker.prompt.window import Budget, split_turns, trim

_LONG_PROMPT: Final = 20_000
"""Characters from which on a prompt is built in a thread."""
_ANY: Final = 0
_OTHER: Final = 1
"""Token ids that stand in for a prompt that is not known yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptTurn:
    """The messages from a prompt to its reply, as token ids; `number` is the first message's."""

    number: int
    contents: tuple[PromptMessage, ...]

    @property
    def is_answered(self) -> bool:
        """Whether it ends with a reply; an edit can leave a prompt without one."""
        return self.contents[-1].role == "assistant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What the model is given.

    Args:
        token_ids: the whole prompt.
        system: the instructions; empty if there are none.
        turns: earlier turns in view.
        user: the new message of the user.
        number: the new message's number in the conversation.
        earlier: earlier turns with a reply, in view or not.
        brought_along: messages of the request that are stored in front of the new one.
        context: replaces the conversation's context; None leaves it as it is.
    """

    token_ids: tuple[int, ...]
    system: tuple[PromptMessage, ...]
    turns: tuple[PromptTurn, ...]
    user: PromptMessage
    number: int
    earlier: int
    brought_along: tuple[StoredMessage, ...] = ()
    context: str | None = None

    @property
    def offset(self) -> int:
        """Absolute number of the first message in view."""
        return self.turns[0].number if self.turns else self.number

    @property
    def turns_kept(self) -> int:
        """Turns in view, the new one included; messages without a reply belong to the new one."""
        return sum(turn.is_answered for turn in self.turns) + 1

    @property
    def turns_dropped(self) -> int:
        """Earlier turns no longer in view; counted by replies, as edits can leave half a turn."""
        return self.earlier - sum(
            message.role == "assistant" for turn in self.turns for message in turn.contents
        )

    def answered(self, reply: tuple[int, ...]) -> tuple[PromptTurn, ...]:
        """The turns in view once this one has its reply."""
        answered = [turn for turn in self.turns if turn.is_answered]
        pending = self.turns[len(answered) :]
        contents = [message for turn in pending for message in turn.contents]
        number = pending[0].number if pending else self.number
        own = PromptTurn(
            number=number, contents=(*contents, self.user, PromptMessage("assistant", reply))
        )
        return (*answered, own)


@dataclass(frozen=True, slots=True, kw_only=True)
class NextWindow:
    """The window of the next turn: the number of its first message and its first token ids."""

    offset: int
    token_ids: tuple[int, ...]


async def prepare_prompt(engine: Engine, claim: Claim, history: History, budget: Budget) -> Prompt:
    """The prompt of a turn; a long one is built in a thread, to keep the event loop free.

    Raises:
        ContextLengthExceeded, ConversationTooLong: it does not fit.
    """
    request = claim.request

    def build() -> Prompt:
        if request.messages:
            return build_stateless_prompt(engine, request, budget)
        return build_prompt(engine, claim, history, budget)

    texts = [history.context, request.context or "", request.prompt]
    texts += [message.content for message in history.messages]
    texts += [message.content for message in (*request.messages, *request.earlier)]
    num_characters = sum(map(len, texts))
    return build() if num_characters < _LONG_PROMPT else await asyncio.to_thread(build)


def build_prompt(engine: Engine, claim: Claim, history: History, budget: Budget) -> Prompt:
    """Assemble instructions, the turns in view and the new prompt.

    Raises:
        ContextLengthExceeded: instructions and prompt alone leave no room for a reply.
        ConversationTooLong: the conversation does not fit and must not be cut.
    """
    request = claim.request
    context, num_opening = _new_context(request, history)
    in_force = history.context if context is None else context
    instructions = "\n\n".join(filter(None, (request.instructions, in_force)))
    system = (
        (PromptMessage("system", tuple(engine.tokenize(instructions))),) if instructions else ()
    )
    user = PromptMessage("user", tuple(engine.tokenize(request.prompt)))
    brought_along = tuple(
        StoredMessage(
            number=history.next_number + place - num_opening,
            role=message.role,
            content=message.content,
            timestamp_ms=claim.created_ms,
            tokens=len(engine.tokenize(message.content)),
            job_id=claim.job_id,
            place=place,
        )
        for place, message in enumerate(request.earlier)
        if place >= num_opening
    )
    turns = tuple(
        PromptTurn(
            number=turn[0].number, contents=tuple(_content(engine, message) for message in turn)
        )
        for turn in split_turns([*history.messages, *brought_along])
    )
    # Instructions that stand right in front of the prompt stay there.
    turns, num_pinned = _with_its_instructions(turns)

    @cache
    def rendered(dropped: int) -> list[int]:
        return _render(engine, system, turns[dropped:], user)

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
    """The turns with the instructions right in front of the prompt split off, and their number."""
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


def build_stateless_prompt(engine: Engine, request: TurnRequest, budget: Budget) -> Prompt:
    """Assemble the messages that the client sent, none of them left out.

    Raises:
        ContextLengthExceeded: they leave no room for a reply.
    """
    messages = [
        PromptMessage(message.role, tuple(engine.tokenize(message.content)))
        for message in request.messages
    ]
    token_ids = engine.render(_alternating(engine, messages))
    if len(token_ids) > budget.prompt_limit:
        raise ContextLengthExceeded(len(token_ids), budget.window)
    return Prompt(
        token_ids=tuple(token_ids), system=(), turns=(), user=messages[-1], number=1, earlier=0
    )


def next_window(
    engine: Engine, prompt: Prompt, reply: tuple[int, ...], budget: Budget
) -> NextWindow | None:
    """The next turn's window if it has to be trimmed, so that it can be evaluated ahead of time.

    Assumes that the next prompt is as long as the average of those in view.

    Args:
        reply: token ids of the reply's content, as the next turn will see it.
    """
    turns = prompt.answered(reply)
    lengths = [len(m.token_ids) for turn in turns for m in turn.contents if m.role == "user"]
    expected = PromptMessage("user", (_ANY,) * (sum(lengths) // len(lengths)))

    @cache
    def measured(dropped: int) -> int:
        return len(_render(engine, prompt.system, turns[dropped:], expected))

    try:
        dropped = trim(len(turns), measured, budget)
    except (ContextLengthExceeded, UnusableRequest):
        return None
    if dropped == 0:
        return None
    kept = turns[dropped:]
    # What two different prompts have in common is what any prompt begins with.
    first, second = (
        _render(engine, prompt.system, kept, PromptMessage("user", (token,)))
        for token in (_ANY, _OTHER)
    )
    offset = kept[0].number if kept else prompt.number + 2
    return NextWindow(offset=offset, token_ids=tuple(first[: common_prefix(first, second)]))


def _render(
    engine: Engine,
    system: Sequence[PromptMessage],
    turns: Sequence[PromptTurn],
    user: PromptMessage,
) -> list[int]:
    contents = [message for turn in turns for message in turn.contents]
    return engine.render(_alternating(engine, [*system, *contents, user]))


def _content(engine: Engine, message: StoredMessage) -> PromptMessage:
    ids = message.token_ids if message.fingerprint == engine.model.fingerprint else None
    return PromptMessage(
        message.role, tuple(engine.tokenize(message.content)) if ids is None else ids
    )


def _alternating(engine: Engine, messages: list[PromptMessage]) -> list[PromptMessage]:
    """Join neighbours of one role, which an edit can leave and many chat templates refuse."""
    joined: list[PromptMessage] = []
    for message in messages:
        if joined and joined[-1].role == message.role:
            ids = (*joined[-1].token_ids, *engine.tokenize("\n\n"), *message.token_ids)
            joined[-1] = PromptMessage(message.role, ids)
        else:
            joined.append(message)
    return joined
