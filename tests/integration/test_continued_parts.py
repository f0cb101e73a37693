"""Continuing a reply that was cut within a thought, or a call."""

from collections.abc import Callable
from typing import Any

import pytest

from shared.config import Settings
from shared.errors import NothingToContinue
from shared.wire.messages import StoredMessage
from shared.wire.publication import PieceRecord
from shared.wire.sampling import Sampling
from shared.wire.submission import Submission
from tests.integration.bench import Bench
from tests.integration.test_reply_parts import CALL, CALL_MARKUP, TOOLS, ended, published, working
from tests.servers import Valkey, make_settings
from tests.writing_engine import CALLS, CLOSES, HARMONY, OPENS, PLAIN, TAGS, WritingEngine

MAX_TOKENS = 120


@pytest.fixture
def settings(valkey: Valkey) -> Settings:
    return make_settings(
        valkey.url, PALAVER_LEASE=1, PALAVER_HEARTBEAT=0.3, PALAVER_MAX_TOKENS=MAX_TOKENS
    )


def writes(reply: str, opening: str = "Hello<end><assistant>") -> Callable[[str], str]:
    """Writes a reply from wherever it stands; anything else behind the prompt is an error."""

    def rest(context: str) -> str:
        begun = context.partition(opening)[2]
        assert reply.startswith(begun), begun
        return reply.removeprefix(begun)

    return rest


async def cut_at(
    bench: Bench, engine: WritingEngine, length: int, **options: Any
) -> tuple[Submission, dict[str, Any]]:
    """A turn whose reply was cut at so many tokens."""
    async with working(bench, engine):
        job = await bench.submit(sampling=Sampling(max_tokens=length), **options)
        return job, await ended(bench, job.job_id)


async def continued(
    bench: Bench, engine: WritingEngine, job: Submission, **options: Any
) -> tuple[Submission, dict[str, Any], StoredMessage]:
    """The turn that continues, its result, and what is stored then."""
    async with working(bench, engine):
        again = await bench.submit(job.conversation_id, prompt="", continues=True, **options)
        reply = await ended(bench, again.job_id)
    return again, reply, (await bench.messages(job.conversation_id))[-1]


THOUGHT = "<think>\nHm, well.\n</think>\n\nFour."
OPENED = THOUGHT.removeprefix("<think>\n")
IN_CHANNELS = (
    "<|channel|>analysis<|message|>Hm, well.<|end|>"
    "<|start|>assistant<|channel|>final<|message|>Four."
)


@pytest.mark.parametrize(
    ("template", "reply", "opening"),
    [
        (TAGS, THOUGHT, "Hello<end><assistant>"),
        (OPENS, OPENED, "Hello<end><assistant><think>\n"),
        (HARMONY, IN_CHANNELS, "Hello<|end|><|start|>assistant"),
    ],
    ids=["tags", "opens", "harmony"],
)
async def test_wherever_a_reply_is_cut_it_becomes_what_it_would_have_been(
    bench: Bench, template: str, reply: str, opening: str
) -> None:
    """In mid-markup, too: what was held back at the cut is read with what follows."""
    engine = WritingEngine(writes(reply, opening), template)
    for length in range(1, len(reply), 3):
        job, _ = await cut_at(bench, engine, length)
        again, result, message = await continued(bench, engine, job)
        assert (result["reasoning"], result["reply"]) == ("Hm, well.", "Four.")
        assert (message.reasoning, message.content) == ("Hm, well.", "Four.")
        assert result["usage"]["completion_tokens"] == len(reply)
        log = await published(bench, again.job_id)
        assert log == [("reasoning", "Hm, well."), ("token", "Four.")]


async def test_a_call_that_was_cut_is_made(bench: Bench) -> None:
    """With the tools of the request that it was cut in: no other names them."""
    reply = f"Wait. {CALL_MARKUP}"
    engine = WritingEngine(writes(reply), CALLS)
    for length in (len("Wait. <tool"), len(reply) - 20):
        job, first = await cut_at(bench, engine, length, tool_use=TOOLS)
        again, result, message = await continued(bench, engine, job)
        assert first["reply"] == reply[:length]
        assert (result["reply"], result["finish_reason"]) == ("Wait.", "tool_calls")
        assert [call.name for call in message.tool_calls] == [CALL.name]
        assert message.content == "Wait."
        assert await published(bench, again.job_id) == [("token", "Wait."), ("call", CALL.name)]


async def test_behind_calls_nothing_is_continued(bench: Bench) -> None:
    engine = WritingEngine(writes(CALL_MARKUP), CALLS)
    job, first = await cut_at(bench, engine, 512, tool_use=TOOLS)
    assert first["finish_reason"] == "tool_calls"
    with pytest.raises(NothingToContinue):
        await bench.submit(job.conversation_id, prompt="", continues=True)


@pytest.mark.parametrize(
    ("template", "behind", "more"),
    [
        (TAGS, "<think>\nHm, well.\n</think>\n\nFo", "ur."),
        (CLOSES, "<think>\n\n</think>\n\nFo", "ur."),
        (PLAIN, "Fo", "ur."),
    ],
    ids=["tags", "closes", "plain"],
)
async def test_another_model_is_shown_the_text_and_none_of_the_ids(
    bench: Bench, template: str, behind: str, more: str
) -> None:
    engine = WritingEngine(writes(THOUGHT), TAGS)
    job, _ = await cut_at(bench, engine, len(THOUGHT) - 3)
    other = WritingEngine(writes(behind + more), template, fingerprint="other")
    again, result, message = await continued(bench, other, job)
    assert (result["reasoning"], result["reply"]) == ("Hm, well.", "Four.")
    shown = other.requests[-1]
    assert other.detokenize((*shown.prompt, *shown.generated)).endswith(f"<assistant>{behind}")
    assert (message.content, message.reasoning) == ("Four.", "Hm, well.")
    assert await published(bench, again.job_id) == [("reasoning", "Hm, well."), ("token", "Four.")]


@pytest.mark.parametrize("end", ["Use <tool_call>", "It is <", "Wait. \n"])
async def test_what_another_model_gave_out_is_not_given_out_again(bench: Bench, end: str) -> None:
    """This model's reader would hold it back, as it may begin a call."""
    job, _ = await cut_at(bench, WritingEngine(writes(f"{end} here."), PLAIN), len(end))
    again, result, _ = await continued(bench, WritingEngine(writes(f"{end} here."), CALLS), job)
    assert result["reply"] == f"{end} here."
    assert await published(bench, again.job_id) == [("token", f"{end} here.")]


@pytest.mark.parametrize("template", [TAGS, PLAIN])
async def test_stop_strings_end_only_what_is_added(bench: Bench, template: str) -> None:
    reply = "One, two, twelve, two, three"
    for length in (len("One, two, tw"), len("One, tw"), len("One, two, ")):
        job, _ = await cut_at(bench, WritingEngine(writes(reply), template), length)
        engine = WritingEngine(writes(reply), template)
        again, result, _ = await continued(bench, engine, job, sampling=Sampling(stop=("two",)))
        assert result["reply"] == "One, two, twelve, "
        assert await published(bench, again.job_id) == [("token", result["reply"])]


async def test_lengths_count_what_is_added(bench: Bench) -> None:
    """With a limit, thoughts included; without one, the server's for all that is no thought."""
    answer = "Four." * 70
    reply = THOUGHT.replace("Four.", answer)
    engine = WritingEngine(writes(reply), TAGS)
    job, cut = await cut_at(bench, engine, len(THOUGHT))
    for length in (3, 4, 0, 0):
        sampling = Sampling(max_tokens=length) if length else Sampling()
        _, result, message = await continued(bench, engine, job, sampling=sampling)
        added = len(result["reply"]) - len(cut["reply"])
        assert added == (length or MAX_TOKENS)
        assert answer.startswith(result["reply"])
        assert message.content == result["reply"]
        cut = result


async def test_a_worker_that_dies_leaves_the_rest_to_another(bench: Bench) -> None:
    """Whether it has published what stands, more than that, or nothing."""
    engine = WritingEngine(writes(THOUGHT), TAGS)
    for number in (0, 1, 2):
        job, first = await cut_at(bench, engine, len("<think>\nHm, we"))
        await bench.serve("w1")
        again = await bench.submit(job.conversation_id, prompt="", continues=True)
        claim = await bench.claim("w1", model=engine.model.fingerprint)
        standing = first["reasoning"]
        ids = tuple(map(ord, "<think>\nHm, we"))
        pieces = [
            PieceRecord(kind="reasoning", text=standing, token_ids=ids),
            PieceRecord(kind="reasoning", text="ll", token_ids=tuple(map(ord, "ll"))),
        ]
        at = 0
        for piece in pieces[:number]:
            await bench.claims.publish(claim, at, piece)
            at += len(piece.token_ids)
        await bench.crash(claim)
        async with working(bench, engine):
            result = await ended(bench, again.job_id)
        (_, message) = await bench.messages(job.conversation_id)
        assert engine.requests[-1].generated[: len(ids)] == ids
        assert (result["reasoning"], result["reply"]) == ("Hm, well.", "Four.")
        assert (message.reasoning, message.content) == ("Hm, well.", "Four.")
        log = await published(bench, again.job_id)
        assert log == [("reasoning", "Hm, well."), ("token", "Four.")]
