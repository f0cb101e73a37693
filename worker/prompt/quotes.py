"""Passages from before the window, quoted in the prompt that speaks of them.

They are text of the user's own message, whoever wrote them: each line is marked as quoted, so that
none can pose as the prompt, and none has a higher rank than that. They stand directly before the
prompt, so that all in front of them is the same with and without; the conversation keeps the plain
prompt.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from shared.wire.messages import Role
from worker.prompt.message import PromptMessage
from worker.prompt.passage import Passage, Quote
from worker.prompt.prompt import Prompt
from worker.prompt.summaries import headed
from worker.prompt.window import Budget
from worker.prompt.writer import PromptWriter

_HEADING: Final = "Quoted from earlier in this conversation, with the numbers of the messages:\n"
_SHORTEST: Final = 8
"""Tokens; no passage takes less."""
_SPEAKERS: Final[dict[Role, str]] = {"user": "User", "assistant": "Assistant"}


def with_quotes(
    writer: PromptWriter, prompt: Prompt, passages: Sequence[Passage], budget: Budget
) -> Prompt:
    """The prompt with as many passages as there is room for, in the order of the conversation.

    Args:
        prompt: ends with what a user says.
        passages: the most wanted first.
    """
    room = min(budget.quotes, budget.prompt_limit - len(prompt.token_ids))
    chosen = _chosen(writer, passages, room)
    while chosen:
        quotes = _in_order(chosen)
        encoded = writer.encode(_with_quoted(prompt, quotes), prompt.options)
        if len(encoded.token_ids) <= len(prompt.token_ids) + room:
            return replace(prompt, token_ids=encoded.token_ids, quotes=quotes)
        chosen.pop()
    return prompt


def _chosen(writer: PromptWriter, passages: Sequence[Passage], room: int) -> list[Passage]:
    chosen: list[Passage] = []
    left = room - len(writer.tokenize(_HEADING + "\n"))
    for passage in passages:
        if left < _SHORTEST:
            break
        quotes, length = _fitting(writer, passage, left)
        if quotes:
            chosen.append(replace(passage, quotes=quotes))
            left -= length
    return chosen


def _fitting(writer: PromptWriter, passage: Passage, room: int) -> tuple[tuple[Quote, ...], int]:
    """The first messages of a passage for which there is room, and their tokens."""
    quotes = passage.quotes
    while quotes:
        length = len(writer.tokenize("".join(map(_quoted, quotes))))
        if length <= room:
            return quotes, length
        quotes = quotes[:-1]
    return (), 0


def _in_order(passages: Sequence[Passage]) -> tuple[Quote, ...]:
    in_order = sorted(passages, key=lambda passage: (passage.number, passage.part))
    return tuple(quote for passage in in_order for quote in passage.quotes)


def _with_quoted(prompt: Prompt, quotes: Sequence[Quote]) -> list[PromptMessage]:
    quoted = "".join(map(_quoted, quotes))
    new = replace(prompt.new.message, content=f"{_HEADING}{quoted}\n{prompt.new.message.content}")
    contents = [*prompt.earlier_contents, PromptMessage(message=new)]
    return [*prompt.system, *headed(contents, prompt.summary)]


def _quoted(quote: Quote) -> str:
    """A message as it is quoted; no line of it is without a mark."""
    lines = f"[{quote.number}] {_SPEAKERS[quote.role]}: {quote.text}".splitlines()
    return "".join(f"> {line}\n" for line in lines)
