"""The order in which a reply's parts were written, where it is not the usual one."""

from typing import Any

import pytest

from api.openai.output_items import parts_of
from shared.wire.parts import PartKind, ToolCall, order_of

Parts = list[tuple[PartKind, str]]
CALL = ToolCall(id="c", name="f", arguments="{}").encode()


@pytest.mark.parametrize(
    ("parts", "order"),
    [
        ([], None),
        ([("text", "Hi")], None),
        ([("reasoning", "Hm"), ("text", "Hi"), ("call", CALL), ("call", CALL)], None),
        ([("text", "Hi"), ("text", ""), ("call", CALL), ("text", "")], None),
        ([("call", CALL), ("text", "Hi")], (("call", 1), ("text", 2))),
        (
            [("text", "A"), ("reasoning", "Hm"), ("text", "𝄞b"), ("call", CALL), ("call", CALL)],
            (("text", 1), ("reasoning", 2), ("text", 2), ("call", 2)),
        ),
    ],
)
def test_only_an_unusual_order_is_kept(parts: Parts, order: Any) -> None:
    assert order_of(parts) == order
    reply = {
        "reply": "".join(text for kind, text in parts if kind == "text"),
        "reasoning": "".join(text for kind, text in parts if kind == "reasoning"),
        "tool_calls": [ToolCall.decode(text).to_json() for kind, text in parts if kind == "call"],
        "order": order,
    }
    shown = [(part.kind, part.text) for part in parts_of(reply)]
    assert shown == ([part for part in parts if part[1]] or [("text", "")])
