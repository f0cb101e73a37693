"""From a conversation's history to the token ids of a prompt, trimmed to its window."""

from dataclasses import dataclass
from itertools import dropwhile

from shared.schema import StoredMessage
from shared.turn_values import Claim, History
from worker.engine.interface import Engine, PromptMessage
from worker.window import Budget, split_turns, trim


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model is given.

    Args:
        token_ids: the whole prompt.
        user_tokens: tokens of the new prompt's content alone.
        offset: absolute number of the first message in view.
        turns_kept: turns in view, the new one included.
        turns_dropped: earlier turns no longer in view.
    """

    token_ids: tuple[int, ...]
    user_tokens: int
    offset: int
    turns_kept: int
    turns_dropped: int


def build_prompt(engine: Engine, claim: Claim, history: History, budget: Budget) -> Prompt:
    """Assemble instructions, the turns in view and the new prompt.

    Raises:
        ContextLengthExceeded: instructions and prompt alone leave no room for a reply.
    """
    same_model = history.model == engine.model.fingerprint
    request = claim.request
    context = history.context if request.context is None else request.context
    system = [PromptMessage("system", tuple(engine.tokenize(context)))] if context else []
    user = PromptMessage("user", tuple(engine.tokenize(request.prompt)))
    # An edit's view is cut to a number of messages, and may begin in mid-turn.
    messages = dropwhile(lambda message: message.role != "user", history.messages)
    turns = split_turns(list(messages))
    contents = [[_content(engine, message, same_model) for message in turn] for turn in turns]
    rendered: dict[int, list[int]] = {}

    def render(dropped: int) -> list[int]:
        if dropped not in rendered:
            kept = [message for turn in contents[dropped:] for message in turn]
            rendered[dropped] = engine.render(_alternating(engine, [*system, *kept, user]))
        return rendered[dropped]

    dropped = trim(len(turns), lambda k: len(render(k)), budget)
    in_view = turns[dropped:]
    offset = in_view[0][0].number if in_view else history.next_number
    return Prompt(
        token_ids=tuple(render(dropped)),
        user_tokens=len(user.token_ids),
        offset=offset,
        turns_kept=len(in_view) + (0 if _is_unanswered(in_view) else 1),
        # Turns are two messages, but an edit may leave half of one.
        turns_dropped=offset // 2,
    )


def _is_unanswered(turns: list[tuple[StoredMessage, ...]]) -> bool:
    """Whether the newest turn ends with a prompt: then the new prompt belongs to it."""
    return bool(turns) and turns[-1][-1].role == "user"


def _content(engine: Engine, message: StoredMessage, same_model: bool) -> PromptMessage:
    ids = message.token_ids if same_model else None
    return PromptMessage(
        message.role, tuple(engine.tokenize(message.content)) if ids is None else ids
    )


def _alternating(engine: Engine, messages: list[PromptMessage]) -> list[PromptMessage]:
    """Join neighbours of one role, which many chat templates refuse (an edit can make them)."""
    joined: list[PromptMessage] = []
    for message in messages:
        if joined and joined[-1].role == message.role:
            ids = (*joined[-1].token_ids, *engine.tokenize("\n\n"), *message.token_ids)
            joined[-1] = PromptMessage(message.role, ids)
        else:
            joined.append(message)
    return joined
