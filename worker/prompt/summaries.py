"""What has left the window as the model is told of it: a summary, marked as what it is."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from shared.wire.summary import Summary
from worker.prompt.message import PromptMessage
from worker.prompt.prompt import Prompt
from worker.prompt.window import Budget
from worker.prompt.writer import PromptWriter

_CUT: Final = "…"
HEADING: Final = "Summary of this conversation before what follows:\n"


def with_summary(
    writer: PromptWriter, prompt: Prompt, summary: Summary | None, budget: Budget
) -> Prompt:
    """The prompt with a summary of what is out of view: as much of it as there is room for."""
    if summary is None or not summary.text.strip() or not prompt.turns_dropped:
        return prompt
    room = min(budget.summary, budget.prompt_limit - len(prompt.token_ids))
    shown = _shown(writer, prompt, summary)
    surplus = len(shown.token_ids) - len(prompt.token_ids) - room
    if surplus > 0:
        longest = len(writer.tokenize(summarised(summary.text))) - surplus
        text = beginning_of(writer, summary.text, longest)
        shown = _shown(writer, prompt, replace(summary, text=text))
        if not text or len(shown.token_ids) > len(prompt.token_ids) + room:
            return prompt
    return shown


def _shown(writer: PromptWriter, prompt: Prompt, summary: Summary) -> Prompt:
    contents = headed([*prompt.earlier_contents, prompt.new], summary)
    encoded = writer.encode([*prompt.system, *contents], prompt.options)
    return replace(prompt, token_ids=encoded.token_ids, summary=summary)


def beginning_of(writer: PromptWriter, text: str, longest: int) -> str:
    """As much of a summary as takes so many tokens once it is marked; empty if nothing does."""
    if len(writer.tokenize(summarised(text))) <= longest:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if len(writer.tokenize(summarised(text[:middle] + _CUT))) <= longest:
            low = middle
        else:
            high = middle - 1
    return text[:low] + _CUT if low else ""


def headed(contents: Sequence[PromptMessage], summary: Summary | None) -> list[PromptMessage]:
    """What is shown, with the summary in front of what the user says first.

    It has the rank of what users say. It stays where it is as long as the window does, so the cache
    has it. Templates that want roles in turn take it.
    """
    if summary is None or not contents:
        return list(contents)
    first, *others = contents
    text = summarised(summary.text)
    if first.role != "user":
        return [PromptMessage.says("user", text), *contents]
    message = replace(first.message, content=f"{text}\n{first.message.content}")
    return [PromptMessage(message=message), *others]


def summarised(text: str) -> str:
    """A summary as it is shown; no line of it is without a mark."""
    return HEADING + "".join(f"> {line}\n" for line in text.splitlines())
