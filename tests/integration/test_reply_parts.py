"""Replies in parts, from the engine to the conversation: thoughts, calls, results, lost workers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import orjson
import pytest

from shared.config import Settings
from shared.wire.messages import ChatMessage, StoredMessage
from shared.wire.parts import Tool, ToolCall
from shared.wire.publication import PieceRecord
from shared.wire.sampling import Sampling
from shared.wire.submission import Submission
from shared.wire.turn_request import ToolUse, TurnRequest
from tests.integration.bench import Bench
from tests.scripted import ScriptedEngine, echo
from tests.servers import Valkey, make_settings, running_worker
from tests.writing_engine import CALLS, CLOSES, OPENS, PLAIN, TAGS, WritingEngine
from worker.engine.interface import Part

CALL = ToolCall(id="call_1", name="weather", arguments='{"city": "Paris"}')
CALL_MARKUP = '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n</tool_call>'
TOOLS = ToolUse(tools=(Tool(name="weather"),))


@pytest.fixture
def settings(valkey: Valkey) -> Settings:
    """Leases so short that lost turns are taken over at once."""
    return make_settings(valkey.url, PALAVER_LEASE=1, PALAVER_HEARTBEAT=0.3)


def thinks(_prompt: str) -> list[Part]:
    return [Part("reasoning", "Let me see."), Part("text", "Four.")]


def calls(prompt: str) -> str | list[Part]:
    """Calls a tool, and answers with its result."""
    if "<tool>" in prompt:
        return "It is " + prompt.rpartition("<tool>")[2].partition("<end>")[0]
    return [Part("text", "Wait. "), Part("call", CALL.encode())]


@asynccontextmanager
async def working(bench: Bench, engine: ScriptedEngine) -> AsyncIterator[None]:
    await bench.leave()
    async with running_worker(bench.settings, engine):
        yield


async def ended(bench: Bench, job_id: str) -> dict[str, object]:
    """The data of a job's terminal event."""
    async with asyncio.timeout(20):
        while not (events := await bench.events.read(job_id)) or not events[-1].is_terminal:
            await asyncio.sleep(0.01)
    data: dict[str, object] = orjson.loads(events[-1].data)
    assert events[-1].kind == "completed", data
    return data


async def published(bench: Bench, job_id: str) -> list[tuple[str, str]]:
    """What is logged of a reply: types and texts, neighbours joined."""
    joined: list[tuple[str, str]] = []
    for event in await bench.events.read(job_id):
        if event.kind not in ("token", "reasoning", "call"):
            continue
        data = orjson.loads(event.data)
        text = data["text"] if event.kind != "call" else data["name"]
        if joined and joined[-1][0] == event.kind:
            text = joined.pop()[1] + text
        joined.append((event.kind, text))
    return joined


async def test_a_thought_is_kept_apart_from_its_answer(bench: Bench) -> None:
    async with working(bench, ScriptedEngine(thinks, piece_length=3)):
        job = await bench.submit()
        reply = await ended(bench, job.job_id)
    assert (reply["reply"], reply["reasoning"], reply["model"]) == (
        "Four.", "Let me see.", "scripted",
    )  # fmt: skip
    assert orjson.loads(orjson.dumps(reply["usage"]))["completion_tokens_details"] == {
        "reasoning_tokens": 11
    }
    assert await published(bench, job.job_id) == [("reasoning", "Let me see."), ("token", "Four.")]
    _, message = await bench.messages(job.conversation_id)
    assert (message.content, message.reasoning) == ("Four.", "Let me see.")
    assert (message.finish_reason, message.model_name) == ("stop", "scripted")


async def test_a_call_waits_for_its_result_and_goes_on_with_it(bench: Bench) -> None:
    engine = ScriptedEngine(calls)
    async with working(bench, engine):
        first = await bench.submit(prompt="How warm?", tool_use=TOOLS)
        reply = await ended(bench, first.job_id)
        second = await bench.submit(
            first.conversation_id, prompt="9 degrees", call_id="call_1", tool_use=TOOLS
        )
        answer = await ended(bench, second.job_id)
    assert (reply["finish_reason"], reply["tool_calls"]) == ("tool_calls", [CALL.to_json()])
    assert await published(bench, first.job_id) == [("token", "Wait. "), ("call", "weather")]
    assert answer["reply"] == "It is 9 degrees"
    messages = await bench.messages(first.conversation_id)
    assert [message.role for message in messages] == ["user", "assistant", "tool", "assistant"]
    assert messages[1].tool_calls == (CALL,)
    assert (messages[2].call_id, messages[2].name) == ("call_1", "weather")


async def continued(
    bench: Bench, engine: ScriptedEngine, *pieces: PieceRecord, model: str = "another"
) -> tuple[Submission, dict[str, object]]:
    """A turn whose first worker published these pieces, and its reply."""
    has_tools = "tool_call" in engine.model.chat_template
    job = await bench.submit(tool_use=TOOLS if has_tools else ToolUse())
    claim = await bench.claim("w1", model=model)
    at = 0
    for piece in pieces:
        await bench.claims.publish(claim, at, piece)
        at += len(piece.token_ids)
    await bench.crash(claim)
    async with working(bench, engine):
        return job, await ended(bench, job.job_id)


HALF_A_THOUGHT = PieceRecord(kind="reasoning", text="Let me", token_ids=(7,))
A_THOUGHT = PieceRecord(kind="reasoning", text="Hm.", token_ids=(7,))
HALF_A_TEXT = PieceRecord(text="It", token_ids=(8, 9))


def goes_on(behind: str, more: str) -> Callable[[str], str]:
    """Writes something if the prompt and the reply so far end in a certain way."""
    return lambda context: more if context.endswith(f"<assistant>{behind}") else context


async def test_what_a_lost_worker_thought_stands(bench: Bench) -> None:
    """In the very tokens that it wrote."""
    written = "<think> Let me"
    half = PieceRecord(kind="reasoning", text="Let me", token_ids=tuple(map(ord, written)))
    engine = WritingEngine(goes_on(written, " see.</think>Four."))
    job, reply = await continued(bench, engine, half, model="writing")
    assert (reply["reasoning"], reply["reply"]) == ("Let me see.", "Four.")
    assert await published(bench, job.job_id) == [("reasoning", "Let me see."), ("token", "Four.")]


@pytest.mark.parametrize(
    ("template", "behind"), [(OPENS, "<think>\nLet me"), (TAGS, "<think>\nLet me")]
)
async def test_another_model_goes_on_within_the_thought(
    bench: Bench, template: str, behind: str
) -> None:
    engine = WritingEngine(goes_on(behind, " see.\n</think>\n\nFour."), template)
    job, reply = await continued(bench, engine, HALF_A_THOUGHT)
    assert (reply["reasoning"], reply["reply"]) == ("Let me see.", "Four.")
    assert await published(bench, job.job_id) == [("reasoning", "Let me see."), ("token", "Four.")]


@pytest.mark.parametrize("template", [CLOSES, PLAIN])
async def test_a_model_that_does_not_think_answers_behind_the_thought(
    bench: Bench, template: str
) -> None:
    behind = "<think>\n\n</think>\n\n" if template == CLOSES else ""
    engine = WritingEngine(goes_on(behind, "Four."), template)
    _, reply = await continued(bench, engine, HALF_A_THOUGHT)
    assert (reply["reasoning"], reply["reply"]) == ("Let me", "Four.")


@pytest.mark.parametrize(
    ("template", "behind"),
    [
        (TAGS, "<think>\nHm.\n</think>\n\nIt"),
        (OPENS, "<think>\nHm.\n</think>\n\nIt"),
        (CLOSES, "<think>\n\n</think>\n\nIt"),
        (PLAIN, "It"),
    ],
)
async def test_another_model_goes_on_behind_the_text(
    bench: Bench, template: str, behind: str
) -> None:
    engine = WritingEngine(goes_on(behind, " is </think> 4."), template)
    job, reply = await continued(bench, engine, A_THOUGHT, HALF_A_TEXT)
    assert (reply["reasoning"], reply["reply"]) == ("Hm.", "It is </think> 4.")
    assert await published(bench, job.job_id) == [
        ("reasoning", "Hm."),
        ("token", "It is </think> 4."),
    ]


async def test_a_thought_that_is_opened_is_closed_where_there_is_text(bench: Bench) -> None:
    engine = WritingEngine(goes_on("<think>\n\n</think>\n\nIt", " is 4."), OPENS)
    _, reply = await continued(bench, engine, HALF_A_TEXT)
    assert (reply.get("reasoning"), reply["reply"]) == (None, "It is 4.")


@pytest.mark.parametrize("text", ["Use <tool_call>", "It is <", "Wait. \n"])
async def test_what_another_model_wrote_is_not_given_out_again(bench: Bench, text: str) -> None:
    """This model's reader would hold it back, as it may begin a call."""
    engine = WritingEngine(goes_on(text, " here."), CALLS)
    job, reply = await continued(bench, engine, PieceRecord(text=text, token_ids=(8, 9)))
    assert reply["reply"] == f"{text} here."
    assert await published(bench, job.job_id) == [("token", f"{text} here.")]


async def test_a_call_that_was_not_whole_is_made_by_the_next_model(bench: Bench) -> None:
    """Half a call is not published: it is made anew behind the text in front of it."""
    written = f"\n{CALL_MARKUP}"
    engine = WritingEngine(goes_on("<think>\nHm.\n</think>\n\nIt", written), CALLS)
    _, reply = await continued(bench, engine, A_THOUGHT, HALF_A_TEXT)
    assert (reply["reply"], reply["finish_reason"]) == ("It", "tool_calls")
    assert orjson.loads(orjson.dumps(reply["tool_calls"]))[0]["arguments"] == CALL.arguments


@pytest.mark.parametrize(
    ("written", "template", "behind"),
    [
        ("Let me", CLOSES, "<think>\n\n</think>\n\n"),
        ("Let me", TAGS, "<think>\nLet me"),
        ("<think>\nLet me", OPENS, "<think>\nLet me"),
    ],
    ids=["no longer thinks", "opens thoughts itself", "has them opened"],
)
async def test_a_thought_stays_one_though_the_settings_have_changed(
    bench: Bench, written: str, template: str, behind: str
) -> None:
    """The same model, whose ids would now be read as something else."""
    half = PieceRecord(kind="reasoning", text="Let me", token_ids=tuple(map(ord, written)))
    more = "Four." if template == CLOSES else " see.\n</think>\n\nFour."
    engine = WritingEngine(goes_on(behind, more), template)
    _, reply = await continued(bench, engine, half, model="writing")
    thought = "Let me" if template == CLOSES else "Let me see."
    assert (reply["reasoning"], reply["reply"]) == (thought, "Four.")


async def test_behind_a_call_of_another_model_nothing_is_added(bench: Bench) -> None:
    call = PieceRecord(kind="call", text=CALL.encode(), token_ids=(7,))
    _, reply = await continued(bench, ScriptedEngine(echo), call)
    assert (reply["tool_calls"], reply["reply"]) == ([CALL.to_json()], "")


async def stateless(bench: Bench, script: Callable[[str], str], request: TurnRequest) -> str:
    """The prompt's text of a stateless turn."""
    engine = ScriptedEngine(script)
    template = await bench.submit()
    submission = Submission(
        job_id=template.job_id[:-4] + "ffff",
        conversation_id=str(int(template.conversation_id) - 1),
        owner_id="default",
        new=True,
        instructions="",
        request=request,
    )
    await bench.submissions.submit(submission)
    async with working(bench, engine):
        await ended(bench, submission.job_id)
        await ended(bench, template.job_id)
    return next((prompt for prompt in engine.prompts if "Persona" not in prompt), "")


def turn(**fields: object) -> TurnRequest:
    values = {"prompt": "", "context": None, "replace_from": None, "sampling": Sampling()} | fields
    return TurnRequest(**values)  # type: ignore[arg-type]


async def test_a_reply_that_the_client_began_is_gone_on_with(bench: Bench) -> None:
    messages = (
        ChatMessage(role="user", content="Count."),
        ChatMessage(role="assistant", content="One, two"),
    )
    prompt = await stateless(bench, lambda _: ", three.", turn(messages=messages))
    assert prompt == "<user>Count.<end><assistant>One, two"


async def test_a_plain_text_is_gone_on_with_without_a_template(bench: Bench) -> None:
    request = turn(prompt="Once <end> upon", is_plain=True)
    prompt = await stateless(bench, lambda _: " a time", request)
    assert prompt == "Once <end> upon"


async def test_counting_tokens_generates_nothing(bench: Bench) -> None:
    messages = (ChatMessage(role="user", content="Hi"),)
    assert await stateless(bench, echo, turn(messages=messages, counts_only=True)) == ""


async def test_stored_parts_are_read_back(bench: Bench) -> None:
    message = StoredMessage(
        number=3,
        role="assistant",
        content="",
        timestamp_ms=1,
        tokens=5,
        job_id="",
        written_ids=(1, 2),
        fingerprint="f",
        reasoning="Hm.",
        tool_calls=(CALL,),
        finish_reason="tool_calls",
        model_name="m",
    )
    await bench.redis.rpush(bench.keys.messages("7"), message.encode())
    assert await bench.messages("7") == [replace(message, number=1)]
