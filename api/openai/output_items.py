"""Items that the API shows: messages, thoughts, calls and their results."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api.openai.ids import CALL, CALL_OUTPUT, MESSAGE, REASONING, item_id
from api.openai.input_items import sealed
from shared.wire.messages import ChatMessage
from shared.wire.parts import PartKind, ToolCall

Item = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputPart:
    """Text, a thought or a call of a reply.

    Args:
        text: of a call, its JSON (`ToolCall.encode`).
        logprobs: of the text's tokens, as OpenAI shows them.
    """

    kind: PartKind
    text: str
    logprobs: tuple[dict[str, Any], ...] = ()

    def with_more(self, text: str, logprobs: Iterable[dict[str, Any]] = ()) -> "OutputPart":
        """The part with what follows."""
        return OutputPart(
            kind=self.kind, text=self.text + text, logprobs=(*self.logprobs, *logprobs)
        )


def parts_of(reply: Mapping[str, Any]) -> tuple[OutputPart, ...]:
    """The parts of a reply object in the order in which they were written.

    Probabilities all stand beside the first text.
    """
    calls = [ToolCall.from_json(call).encode() for call in reply.get("tool_calls") or ()]
    thought, text = reply.get("reasoning") or "", reply["reply"]
    usual: list[tuple[PartKind, int]] = [
        ("reasoning", len(thought)),
        ("text", len(text)),
        ("call", len(calls)),
    ]
    texts = {"reasoning": thought, "text": text}
    order: Sequence[tuple[PartKind, int]] = reply.get("order") or usual
    parts: list[OutputPart] = []
    for kind, length in order:
        if kind == "call":
            parts += [OutputPart(kind="call", text=call) for call in calls[:length]]
            calls = calls[length:]
        elif length:
            parts.append(OutputPart(kind=kind, text=texts[kind][:length]))
            texts[kind] = texts[kind][length:]
    return _with_logprobs(parts or [OutputPart(kind="text", text="")], reply.get("logprobs"))


def _with_logprobs(
    parts: Sequence[OutputPart], logprobs: Sequence[dict[str, Any]] | None
) -> tuple[OutputPart, ...]:
    first = next((part for part in parts if part.kind == "text"), None)
    return tuple(part.with_more("", logprobs or ()) if part is first else part for part in parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemShape:
    """How a response shows its output's items.

    Args:
        has_summary: thoughts are shown as their own summary, too.
        has_sealed: thoughts come as `encrypted_content`, too.
    """

    job_id: str
    has_summary: bool = False
    has_sealed: bool = False

    def items(self, parts: Sequence[OutputPart], last_status: str) -> list[Item]:
        """All items; only the last one can be incomplete."""
        last = len(parts) - 1
        return [
            self.item(parts[: index + 1], last_status if index == last else "completed")
            for index in range(len(parts))
        ]

    def id_of(self, parts: Sequence[OutputPart]) -> str:
        """The id of the last part's item."""
        kind = parts[-1].kind
        prefix = {"text": MESSAGE, "reasoning": REASONING, "call": CALL}[kind]
        number = sum(part.kind == kind for part in parts) - 1
        return item_id(prefix, self.job_id, "a", number)

    def item(self, parts: Sequence[OutputPart], status: str, *, is_new: bool = False) -> Item:
        """The last part as an item.

        Args:
            is_new: it has only begun, and nothing of it is shown.
        """
        name, part = self.id_of(parts), parts[-1]
        if part.kind == "call":
            # A call is never shown before it is whole.
            status = status if is_new else "completed"
            return call_item(name, ToolCall.decode(part.text), status, is_new=is_new)
        if part.kind == "text":
            content = [] if is_new else [output_text(part.text, part.logprobs)]
            return _message(name, "assistant", content, status)
        if is_new:
            return _reasoning(name, [], status)
        return _reasoning(
            name,
            [reasoning_text(part.text)],
            status,
            summary=[summary_text(part.text)] if self.has_summary else (),
            seal=sealed(part.text) if self.has_sealed else None,
        )


def output_text(text: str, logprobs: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """Text as a part of a reply's content."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": list(logprobs)}


def reasoning_text(text: str) -> dict[str, Any]:
    """A thought as a part of an item's content."""
    return {"type": "reasoning_text", "text": text}


def summary_text(text: str) -> dict[str, Any]:
    """A thought as a part of an item's summary."""
    return {"type": "summary_text", "text": text}


def call_item(name: str, call: ToolCall, status: str, *, is_new: bool = False) -> Item:
    """A call as an item."""
    return {
        "id": name,
        "type": "function_call",
        "status": status,
        "call_id": call.id,
        "name": call.name,
        "arguments": "" if is_new else call.arguments,
    }


def items_of(job_id: str, place: str, message: ChatMessage) -> list[Item]:
    """A message as items.

    Args:
        job_id, place: as in an item's id.
    """
    if message.role == "tool":
        return [_call_output(item_id(CALL_OUTPUT, job_id, place), message)]
    items: list[Item] = []
    if message.reasoning:
        content = [reasoning_text(message.reasoning)]
        items.append(_reasoning(item_id(REASONING, job_id, place), content, "completed"))
    if message.content or not (message.tool_calls or message.reasoning):
        is_reply = message.role == "assistant"
        part = output_text(message.content) if is_reply else _input_text(message.content)
        name = item_id(MESSAGE, job_id, place)
        items.append(_message(name, message.role, [part], "completed"))
    for number, call in enumerate(message.tool_calls):
        items.append(call_item(item_id(CALL, job_id, place, number), call, "completed"))
    return items


def _input_text(text: str) -> dict[str, Any]:
    return {"type": "input_text", "text": text}


def _message(name: str, role: str, content: list[dict[str, Any]], status: str) -> Item:
    return {"id": name, "type": "message", "status": status, "role": role, "content": content}


def _reasoning(
    name: str,
    content: list[dict[str, Any]],
    status: str,
    *,
    summary: Sequence[dict[str, Any]] = (),
    seal: str | None = None,
) -> Item:
    item = {
        "id": name,
        "type": "reasoning",
        "status": status,
        "summary": list(summary),
        "content": content,
    }
    return item if seal is None else item | {"encrypted_content": seal}


def _call_output(name: str, message: ChatMessage) -> Item:
    return {
        "id": name,
        "type": "function_call_output",
        "status": "completed",
        "call_id": message.call_id,
        "output": message.content,
    }
