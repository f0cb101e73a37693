"""What the tests of `/v1/responses` share."""

from typing import Any, Final

import httpx

from tests.servers import Stack
from tests.sse import data_of

SENT_BACK: Final = {
    "type": "message",
    "id": "msg_0123",
    "status": "completed",
    "role": "assistant",
    "phase": "final_answer",
    "content": [
        {
            "type": "output_text",
            "text": "Hello Alice!",
            "annotations": [{"type": "url_citation", "url": "x", "title": "y"}],
            "logprobs": [],
        }
    ],
}
"""An output item as a client keeps it and sends it back."""


def item(role: str, text: str) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": text}


async def respond(stack: Stack, **fields: Any) -> dict[str, Any]:
    answer = await stack.client.post("/v1/responses", json={"model": "any", **fields})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def events_of(answer: httpx.Response) -> list[dict[str, Any]]:
    return data_of(answer.content)
