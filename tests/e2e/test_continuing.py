"""Continuing a reply with the real model, through real processes."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.processes import Palaver, running_palaver
from tests.e2e.test_conversations import ask

PERSONA = "You are a friendly teacher."
PROMPT = "Tell me about the sea, in a few sentences."
GREEDY = {"temperature": 0}
EXACT = {"PALAVER_CONTEXT_LENGTH": "400", "PALAVER_CONVERT": "off", "PALAVER_SPECULATION": "off"}
"""Logits that do not depend on how many tokens are evaluated together: with weights in BF16, and
with drafts, kernels add up in another order, and a tie may break otherwise (decisions 10, 48)."""
CHATML_THAT_THINKS = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif %}"
    "{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}"
)
FEW = 3
"""Tokens that have to be evaluated again at most."""


@pytest.fixture
def client(palaver: Palaver) -> Any:
    with palaver.client() as client:
        yield client


def go_on(client: httpx.Client, reply: dict[str, Any], **fields: Any) -> dict[str, Any]:
    response = client.post("/", json={"id": reply["id"], "continue": True, **GREEDY, **fields})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def test_a_reply_in_pieces_equals_the_reply_in_one_go(tmp_path: Path) -> None:
    with running_palaver(tmp_path / "data", 1, **EXACT) as palaver, palaver.client() as client:
        compare_pieces(client)


def compare_pieces(client: httpx.Client) -> None:
    whole = ask(client, PROMPT, context=PERSONA, max_tokens=60, **GREEDY)
    for added in ([55], [1, 2, 7, 45]):
        reply = ask(client, PROMPT, context=PERSONA, max_tokens=5, **GREEDY)
        assert whole["reply"].startswith(reply["reply"])
        for length in added:
            assert reply["finish_reason"] == "length"
            before = reply
            reply = go_on(client, before, max_tokens=length)
            usage = reply["usage"]
            cached = usage["prompt_tokens_details"]["cached_tokens"]
            assert usage["prompt_tokens"] == before["usage"]["prompt_tokens"]
            assert usage["prompt_tokens"] - cached <= FEW, "the prompt is not evaluated again"
            assert reply["timings"]["generation_ms"] >= before["timings"]["generation_ms"]
        for name in ("reply", "finish_reason", "numberOfTokens", "window"):
            assert reply[name] == whole[name], name
        assert reply["usage"]["completion_tokens"] == whole["usage"]["completion_tokens"]
        page = client.get(f"/conversations/{reply['id']}/messages").json()
        assert [one["content"] for one in page["messages"]] == [PROMPT, whole["reply"]]


def test_at_the_end_of_the_window_older_turns_make_room(client: httpx.Client) -> None:
    first = ask(client, "Hello!", context=PERSONA, max_tokens=60, ignore_eos=True)
    cut = ask(client, PROMPT, id=first["id"], max_tokens=400, ignore_eos=True, **GREEDY)
    assert (cut["finish_reason"], cut["window"]["used"]) == ("length", 400)
    reply = go_on(client, cut, max_tokens=20, ignore_eos=True)
    assert reply["reply"].startswith(cut["reply"])
    assert len(reply["reply"]) > len(cut["reply"])
    assert reply["window"]["used"] <= 400
    assert (reply["window"]["turns_kept"], reply["window"]["turns_dropped"]) == (1, 1)
    shown = client.get(f"/conversations/{cut['id']}").json()
    assert (shown["turns"], shown["window"]) == (2, reply["window"])
    after = ask(client, "And the sky?", id=cut["id"], max_tokens=10)
    window = after["window"]
    assert window["turns_kept"] + window["turns_dropped"] == 3


def test_without_any_room_there_is_no_way_on(client: httpx.Client) -> None:
    cut = ask(client, PROMPT, context=PERSONA, max_tokens=400, ignore_eos=True)
    assert cut["window"]["used"] == 400
    response = client.post("/", json={"id": cut["id"], "continue": True})
    problem = response.json()
    assert (response.status_code, problem["code"]) == (422, "context_length_exceeded")
    assert (problem["prompt_tokens"], problem["budget"]) == (400, 400)
    page = client.get(f"/conversations/{cut['id']}/messages").json()
    assert page["messages"][1]["content"] == cut["reply"]


def test_receipts_stay_true_while_the_window_is_trimmed(client: httpx.Client) -> None:
    reply = ask(client, "Let us count. One.", context=PERSONA, max_tokens=30, ignore_eos=True)
    before = reply["window"]["turns_dropped"]
    for number in range(2, 9):
        reply = ask(
            client, f"And behind number {number}?", id=reply["id"], max_tokens=50, ignore_eos=True
        )
        shown = client.get(f"/conversations/{reply['id']}").json()
        continued = go_on(client, reply, max_tokens=5, ignore_eos=True)
        window = continued["window"]
        assert window["turns_kept"] + window["turns_dropped"] == number == shown["turns"]
        assert window["used"] <= 400
        assert window["turns_dropped"] >= before
        before = window["turns_dropped"]
    assert before > 0, "it was never trimmed"


@pytest.mark.timeout(300)
def test_a_thought_in_pieces_equals_the_thought_in_one_go(tmp_path: Path) -> None:
    """Cut within the thought, in the markup that closes it at its limit, and behind it."""
    template = tmp_path / "thinks.jinja"
    template.write_text(CHATML_THAT_THINKS)
    with (
        running_palaver(
            tmp_path / "data",
            1,
            **EXACT,
            PALAVER_CHAT_TEMPLATE=str(template),
            PALAVER_REASONING_TOKENS="16",
        ) as palaver,
        palaver.client() as client,
    ):
        whole = ask(client, PROMPT, context=PERSONA, max_tokens=60, **GREEDY)
        assert whole["reasoning"]
        assert whole["reply"]
        for length in (1, 15, 17, 18, 19, 30):
            cut = ask(client, PROMPT, context=PERSONA, max_tokens=length, **GREEDY)
            reply = go_on(client, cut, max_tokens=60 - length)
            for name in ("reasoning", "reply", "finish_reason", "numberOfTokens", "window"):
                assert reply[name] == whole[name], (name, length)
            assert (
                reply["usage"]["completion_tokens_details"]
                == (whole["usage"]["completion_tokens_details"])
            )
