"""From messages to the token ids of a whole prompt, in the model's chat template."""

from collections.abc import Sequence

from worker.engine.interface import Engine, PromptMessage
from worker.prompt.prompt import PromptTurn


def render(
    engine: Engine,
    system: Sequence[PromptMessage],
    turns: Sequence[PromptTurn],
    user: PromptMessage,
) -> list[int]:
    contents = [message for turn in turns for message in turn.contents]
    return engine.render(alternating(engine, [*system, *contents, user]))


def alternating(engine: Engine, messages: list[PromptMessage]) -> list[PromptMessage]:
    """Join neighbours of one role, which an edit can leave and many chat templates refuse."""
    joined: list[PromptMessage] = []
    for message in messages:
        if joined and joined[-1].role == message.role:
            ids = (*joined[-1].token_ids, *engine.tokenize("\n\n"), *message.token_ids)
            joined[-1] = PromptMessage(message.role, ids)
        else:
            joined.append(message)
    return joined
