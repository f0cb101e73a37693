"""Sequences of roles that templates take: neighbours joined, instructions folded into prompts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from shared.wire.messages import ChatMessage
from worker.template.traits import SystemMessages


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldedMessage:
    """A message as a template gets it.

    Args:
        message: whose role, thought and calls it has.
        index: of that message among all.
        texts: what its content consists of, with the index of the message that each comes from.
    """

    message: ChatMessage
    index: int
    texts: tuple[tuple[int, str], ...]


def folded(messages: Sequence[ChatMessage], system: SystemMessages) -> list[FoldedMessage]:
    """Join neighbours of one role; put instructions that have no place in front of the next prompt.

    Joining is for texts alone: replies with calls, and results of calls, stay what they are.
    """
    result: list[FoldedMessage] = []
    waiting: tuple[tuple[int, str], ...] = ()
    for index, message in enumerate(messages):
        texts: tuple[tuple[int, str], ...] = ((index, message.content),)
        if message.role == "system" and (
            system == "nowhere" or (system == "first" and (result or waiting))
        ):
            waiting += texts
            continue
        if waiting and message.role == "user":
            texts = waiting + texts
        elif waiting:
            _add(result, _user(waiting))
        waiting = ()
        _add(result, FoldedMessage(message=message, index=index, texts=texts))
    if waiting:
        _add(result, _user(waiting))
    return result


def _user(texts: tuple[tuple[int, str], ...]) -> FoldedMessage:
    message = ChatMessage(role="user", content="")
    return FoldedMessage(message=message, index=texts[0][0], texts=texts)


def _add(result: list[FoldedMessage], new: FoldedMessage) -> None:
    last = result[-1] if result else None
    if last is not None and _can_be_joined(last.message, new.message):
        new = replace(
            new,
            message=replace(new.message, reasoning=last.message.reasoning or new.message.reasoning),
            texts=result.pop().texts + new.texts,
        )
    result.append(new)


def _can_be_joined(first: ChatMessage, second: ChatMessage) -> bool:
    return first.role == second.role != "tool" and not first.tool_calls
