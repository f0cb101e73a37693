"""Replies exactly as real models write them, through real processes: thoughts, calls, answers.

The models' weights spell the texts (`tests/spelling_model.py`); the templates are small ones of our
own in the manner of the models named.
"""

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from shared.wire.sse import EventDecoder
from tests.e2e.processes import Palaver, running_palaver
from tests.spelling_model import write_spelling_model
from worker.engine.model_file import without_weights
from worker.engine.vocabulary import ModelVocabulary

CHATML_CONTROLS: Final = ("<|im_start|>", "<|im_end|>")
QWEN: Final = (
    "{% set ns = namespace(last=0) %}{% for m in messages %}{% if m.role == 'user' %}"
    "{% set ns.last = loop.index0 %}{% endif %}{% endfor %}"
    "{% if tools %}<|im_start|>system\nTools:\n{% for t in tools %}{{ t | tojson }}\n{% endfor %}"
    "<|im_end|>\n{% endif %}"
    "{% for m in messages %}{% if m.role == 'tool' %}<|im_start|>user\n<tool_response>\n"
    "{{ m.content }}\n</tool_response><|im_end|>\n{% else %}<|im_start|>{{ m.role }}\n"
    "{% if m.reasoning_content and loop.index0 > ns.last %}<think>\n{{ m.reasoning_content }}\n"
    "</think>\n\n{% endif %}{{ m.content }}{% for c in m.tool_calls or [] %}\n<tool_call>\n"
    '{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}\n'
    "</tool_call>{% endfor %}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n"
    "{% endif %}{% endif %}"
)
"""Thinks where it is not told otherwise; earlier thoughts are dropped."""
R1: Final = (
    "{% for m in messages %}{% if m.role == 'assistant' %}<|im_start|>assistant\n"
    "{{ m.content.split('</think>')[-1] }}<|im_end|>\n{% else %}<|im_start|>{{ m.role }}\n"
    "{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}"
)
"""Opens the thought itself."""
HARMONY_CONTROLS: Final = (
    "<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|constrain|>", "<|call|>",
)  # fmt: skip
HARMONY: Final = (
    "<|start|>system<|message|>You are a model.<|end|>"
    "{% if tools %}<|start|>developer<|message|># Tools\n{% for t in tools %}"
    "type {{ t.function.name }} = (_: any) => any;\n{% endfor %}<|end|>{% endif %}"
    "{% for m in messages %}{% if m.role == 'assistant' and m.tool_calls %}"
    "{% if m.thinking %}<|start|>assistant<|channel|>analysis<|message|>{{ m.thinking }}<|end|>"
    "{% endif %}<|start|>assistant to=functions.{{ m.tool_calls[0].function.name }}"
    "<|channel|>commentary json<|message|>{{ m.tool_calls[0].function.arguments | tojson }}<|call|>"
    "{% elif m.role == 'assistant' %}"
    "{% if m.thinking and loop.last %}<|start|>assistant<|channel|>analysis<|message|>"
    "{{ m.thinking }}<|end|>{% endif %}"
    "<|start|>assistant<|channel|>final<|message|>{{ m.content }}<|end|>"
    "{% elif m.role == 'tool' %}<|start|>functions.{{ m.name }} to=assistant<|channel|>commentary"
    "<|message|>{{ m.content | tojson }}<|end|>"
    "{% else %}<|start|>{{ 'developer' if m.role == 'system' else m.role }}<|message|>"
    "{{ m.content }}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant{% endif %}"
)
THOUGHT: Final = "They greet me.\n\n2 < 3, so <b> is no tag."
WEATHER: Final = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}


@contextlib.contextmanager
def speaking(
    folder: Path, template: str, controls: tuple[str, ...], text: str, **options: Any
) -> Iterator[Palaver]:
    """Palaver with a model that writes a text."""
    settings = options.pop("settings", {})
    path = write_spelling_model(folder / "spelling.gguf", template, controls, text, **options)
    variables = {
        "PALAVER_MODEL_PATH": str(path),
        "PALAVER_CONVERT": "off",
        "PALAVER_DEFAULT_CONTEXT": "",
        "PALAVER_LEASE": "2",
        **settings,
    }
    with running_palaver(folder / "data", **variables) as palaver:
        yield palaver


def num_tokens(folder: Path, text: str) -> int:
    """Of a text that the model of this folder gets, control tokens recognised."""
    with without_weights(folder / "spelling.gguf") as model:
        return len(ModelVocabulary(model).tokenize(text, special=True))


def ask(client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    response = client.post(path, json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def streamed(client: httpx.Client, body: dict[str, Any]) -> list[tuple[str, Any]]:
    """The events of `POST /`, up to the last one."""
    events, decoder = [], EventDecoder()
    headers = {"Accept": "text/event-stream"}
    with client.stream("POST", "/", json=body, headers=headers) as response:
        for line in response.iter_lines():
            event = decoder.take_line(line)
            if event is not None:
                events.append((event.name, json.loads(event.data)))
    return events


@pytest.mark.parametrize(
    ("template", "text"),
    [
        (QWEN, f"<think>\n{THOUGHT}\n</think>\n\nHello, grüß dich!"),
        (R1, f"{THOUGHT}\n</think>\n\nHello, grüß dich!"),
    ],
    ids=["opened by the model", "opened by the template"],
)
def test_thoughts_are_kept_apart_and_leave_the_next_prompt(
    tmp_path: Path, template: str, text: str
) -> None:
    with (
        speaking(tmp_path, template, CHATML_CONTROLS, text) as palaver,
        palaver.client() as client,
    ):
        first = ask(client, "/", {"prompt": "Hi"})
        second = streamed(client, {"prompt": "Again", "id": first["id"]})
        stored = client.get(f"/conversations/{first['id']}/messages").json()["messages"]
    assert (first["reply"], first["reasoning"]) == ("Hello, grüß dich!", THOUGHT)
    assert first["usage"]["completion_tokens_details"]["reasoning_tokens"] > 3
    kinds = [kind for kind, _ in second]
    assert kinds.index("reasoning") < kinds.index("token") < kinds.index("completed")
    for kind, name in (("reasoning", "reasoning"), ("token", "reply")):
        joined = "".join(data["text"] for each, data in second if each == kind)
        assert joined == first[name]
    opening = "<think>\n" if template is R1 else ""
    expected = (
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello, grüß dich!<|im_end|>\n"
        f"<|im_start|>user\nAgain<|im_end|>\n<|im_start|>assistant\n{opening}"
    )
    prompt_tokens = second[-1][1]["usage"]["prompt_tokens"]
    assert prompt_tokens == num_tokens(tmp_path, expected)
    assert [message.get("reasoning") for message in stored] == [None, THOUGHT, None, THOUGHT]


def test_thoughts_can_be_switched_off(tmp_path: Path) -> None:
    with (
        speaking(tmp_path, QWEN, CHATML_CONTROLS, "Just hello.") as palaver,
        palaver.client() as client,
    ):
        reply = ask(client, "/", {"prompt": "Hi", "reasoning": "off"})
    expected = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
    assert reply["usage"]["prompt_tokens"] == num_tokens(tmp_path, expected)
    assert (reply["reply"], reply.get("reasoning")) == ("Just hello.", None)


def tool_loop(palaver: Palaver) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
    """A completion that calls a tool, the one behind its result, and the messages of the latter."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": "How warm is it in Paris?"}]
    with palaver.client() as client:
        body = {"model": "any", "messages": messages, "tools": [WEATHER]}
        first = ask(client, "/v1/chat/completions", body)
        message = first["choices"][0]["message"]
        call = message["tool_calls"][0]
        messages += [message, {"role": "tool", "tool_call_id": call["id"], "content": "9 degrees"}]
        second = ask(client, "/v1/chat/completions", body | {"messages": messages})
    return first, second, messages


def test_hermes_calls_are_calls_and_results_come_back_where_they_belong(tmp_path: Path) -> None:
    text = (
        f"<think>\n{THOUGHT}\n</think>\n\n<tool_call>\n"
        '{"name": "weather", "arguments": {"city": "Paris \\"FR\\"", "days": 2}}\n</tool_call>'
    )
    with speaking(tmp_path, QWEN, CHATML_CONTROLS, text) as palaver:
        first, second, _ = tool_loop(palaver)
    choice = first["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["reasoning_content"] == THOUGHT
    call = choice["message"]["tool_calls"][0]["function"]
    assert (call["name"], json.loads(call["arguments"])) == (
        "weather", {"city": 'Paris "FR"', "days": 2},
    )  # fmt: skip
    definition = json.dumps(
        {
            "type": "function",
            "function": {"name": "weather", "description": "", **_parameters()},
        }
    )
    expected = (
        f"<|im_start|>system\nTools:\n{definition}\n<|im_end|>\n"
        "<|im_start|>user\nHow warm is it in Paris?<|im_end|>\n"
        f"<|im_start|>assistant\n<think>\n{THOUGHT}\n</think>\n\n<tool_call>\n"
        '{"name": "weather", "arguments": {"city": "Paris \\"FR\\"", "days": 2}}\n</tool_call>'
        "<|im_end|>\n<|im_start|>user\n<tool_response>\n9 degrees\n</tool_response><|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert second["usage"]["prompt_tokens"] == num_tokens(tmp_path, expected)


def _parameters() -> dict[str, Any]:
    return {"parameters": WEATHER["function"]["parameters"]}  # type: ignore[index]


def test_harmony_is_read_by_its_channels(tmp_path: Path) -> None:
    text = (
        f"<|channel|>analysis<|message|>{THOUGHT}<|end|><|start|>assistant"
        "<|channel|>final<|message|>Hello!"
    )
    with (
        speaking(tmp_path, HARMONY, HARMONY_CONTROLS, text, end="<|return|>") as palaver,
        palaver.client() as client,
    ):
        reply = ask(client, "/", {"prompt": "Hi"})
        again = ask(client, "/", {"prompt": "Again", "id": reply["id"]})
    assert (reply["reply"], reply["reasoning"]) == ("Hello!", THOUGHT)
    assert (again["reply"], again["reasoning"]) == ("Hello!", THOUGHT)


def test_a_call_in_harmony_is_a_call(tmp_path: Path) -> None:
    text = (
        f"<|channel|>analysis<|message|>{THOUGHT}<|end|><|start|>assistant<|channel|>commentary "
        'to=functions.weather <|constrain|>json<|message|>{"city": "Paris"}<|call|>'
    )
    with speaking(tmp_path, HARMONY, HARMONY_CONTROLS, text, end="<|return|>") as palaver:
        first, second, _ = tool_loop(palaver)
    message = first["choices"][0]["message"]
    assert message["reasoning_content"] == THOUGHT
    assert message["tool_calls"][0]["function"] == {
        "name": "weather", "arguments": '{"city": "Paris"}',
    }  # fmt: skip
    assert second["choices"][0]["finish_reason"] == "tool_calls"


def test_a_worker_killed_in_mid_thought_changes_nothing(tmp_path: Path) -> None:
    thought = " ".join(f"step {number} of many" for number in range(700))
    text = f"<think>\n{thought}\n</think>\n\nDone."
    settings = {"PALAVER_CONTEXT_LENGTH": "8000", "PALAVER_REASONING_TOKENS": "6000"}
    with speaking(tmp_path, QWEN, CHATML_CONTROLS, text, settings=settings) as palaver:
        headers = {"Accept": "text/event-stream"}
        decoder, kinds, last = EventDecoder(), [], {}
        with (
            palaver.client() as client,
            client.stream("POST", "/", json={"prompt": "Hi"}, headers=headers) as response,
        ):
            for line in response.iter_lines():
                event = decoder.take_line(line)
                if event is None:
                    continue
                if event.name == "reasoning" and "reasoning" not in kinds:
                    kill_worker(palaver)
                kinds.append(event.name)
                last = json.loads(event.data)
    assert "resumed" in kinds
    assert (last["reply"], last["reasoning"]) == ("Done.", thought)


def kill_worker(palaver: Palaver) -> None:
    """End the worker as a crash would; its supervisor starts another."""
    for pid in palaver.processes():
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if b"worker.child" in command:
            os.kill(pid, signal.SIGKILL)


def test_a_worker_killed_in_mid_call_changes_nothing(tmp_path: Path) -> None:
    cities = ", ".join(f"city {number} of many" for number in range(500))
    text = (
        "I ask for all of them.\n<tool_call>\n"
        f'{{"name": "weather", "arguments": {{"city": "{cities}"}}}}\n</tool_call>'
    )
    body = {
        "model": "any",
        "messages": [{"role": "user", "content": "How warm is it everywhere?"}],
        "tools": [WEATHER],
        "stream": True,
    }
    settings = {"PALAVER_CONTEXT_LENGTH": "8000", "PALAVER_MAX_TOKENS": "7000"}
    content, killed = "", False
    calls: list[dict[str, Any]] = []
    with (
        speaking(tmp_path, QWEN, CHATML_CONTROLS, text, settings=settings) as palaver,
        palaver.client() as client,
        client.stream("POST", "/v1/chat/completions", json=body) as response,
    ):
        for line in response.iter_lines():
            if not line.startswith("data: {"):
                continue
            (choice,) = json.loads(line.removeprefix("data: "))["choices"]
            content += choice["delta"].get("content") or ""
            calls += choice["delta"].get("tool_calls") or []
            if content and not killed:
                assert not calls
                kill_worker(palaver)
                killed = True
    assert content == "I ask for all of them."
    assert calls[0]["function"]["name"] == "weather"
    arguments = "".join(call["function"].get("arguments") or "" for call in calls)
    assert json.loads(arguments) == {"city": cities}
    assert choice["finish_reason"] == "tool_calls"
