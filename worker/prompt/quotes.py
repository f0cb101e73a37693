"""Passages from before the window, quoted in the prompt that speaks of them.

They are text of the user's own message, whoever wrote them: each line is marked as quoted, so that
none can pose as the prompt, and none has a higher rank than that. They stand directly before the
prompt, so that all in front of them is the same with and without; the conversation keeps the plain
prompt.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final

from shared.wire.messages import Role
from worker.prompt.message import PromptMessage
from worker.prompt.passage import Passage, Quote
from worker.prompt.prompt import Prompt
from worker.prompt.summaries import headed
from worker.prompt.window import Budget
from worker.prompt.writer import PromptWriter

_HEADING: Final = "Quoted from earlier in this conversation, with the numbers of the messages:\n"
_ELSEWHERE: Final = "Quoted from another conversation:\n"
_SHORTEST: Final = 8
"""Tokens; no passage takes less."""
_SPEAKERS: Final[dict[Role, str]] = {"user": "User", "assistant": "Assistant"}


def with_quotes(
    writer: PromptWriter,
    prompt: Prompt,
    passages: Sequence[Passage],
    budget: Budget,
    *,
    num_standing: int = 0,
) -> Prompt:
    """The prompt with as many passages as there is room for, in the order of the conversation.

    Those of other conversations stand in front.

    Args:
        prompt: ends with what a user says.
        passages: the most wanted first.
        num_standing: tokens of the reply that the turn continues.
    """
    room = min(budget.quotes, budget.prompt_limit - len(prompt.token_ids) - num_standing)
    chosen = _chosen(writer, passages, room)
    while chosen:
        quotes = _in_order(chosen)
        encoded = writer.encode(_with_quoted(prompt, quotes), prompt.options)
        if len(encoded.token_ids) <= len(prompt.token_ids) + room:
            return replace(prompt, token_ids=encoded.token_ids, quotes=quotes)
        chosen.pop()
    return prompt


def unseen(passages: Sequence[Passage], prompt: Prompt, others: Sequence[Passage]) -> list[Passage]:
    """Those that say something that neither the window nor the others do, as copies would."""
    said = {one.message.content.strip() for one in prompt.earlier_contents}
    said.update(quote.text for passage in others for quote in passage.quotes)
    return [
        passage
        for passage in passages
        if not said.issuperset(quote.text for quote in passage.quotes)
    ]


def _chosen(writer: PromptWriter, passages: Sequence[Passage], room: int) -> list[Passage]:
    chosen: list[Passage] = []
    headed_ones: set[str] = set()
    left = room
    for passage in passages:
        conversation = passage.conversation_id
        heading = 0
        if conversation not in headed_ones:
            heading = len(writer.tokenize(_heading(conversation) + "\n"))
        if left - heading < _SHORTEST:
            break
        quotes, length = _fitting(writer, passage, left - heading)
        if quotes:
            chosen.append(replace(passage, quotes=quotes))
            headed_ones.add(conversation)
            left -= heading + length
    return chosen


def _heading(conversation_id: str) -> str:
    return _ELSEWHERE if conversation_id else _HEADING


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
    """Conversation by conversation, this one last."""
    places = {passage.conversation_id: place for place, passage in enumerate(passages)}
    places[""] = len(passages)
    in_order = sorted(
        passages,
        key=lambda passage: (places[passage.conversation_id], passage.number, passage.part),
    )
    return tuple(quote for passage in in_order for quote in passage.quotes)


def _with_quoted(prompt: Prompt, quotes: Sequence[Quote]) -> list[PromptMessage]:
    blocks: list[str] = []
    for conversation, of_it in groupby(quotes, key=lambda quote: quote.conversation_id):
        quoted = "".join(map(_quoted, of_it))
        blocks.append(f"{_heading(conversation)}{quoted}\n")
    new = replace(prompt.new.message, content="".join(blocks) + prompt.new.message.content)
    contents = [*prompt.earlier_contents, PromptMessage(message=new)]
    return [*prompt.system, *headed(contents, prompt.summary)]


def _quoted(quote: Quote) -> str:
    """A message as it is quoted; no line of it is without a mark."""
    number = "" if quote.conversation_id else f"[{quote.number}] "
    lines = f"{number}{_SPEAKERS[quote.role]}: {quote.text}".splitlines()
    return "".join(f"> {line}\n" for line in lines)
