"""Summaries on the wire, in prompts, and as they are made."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.store.summaries import Fold
from shared.wire.messages import ChatMessage, StoredMessage
from shared.wire.summary import Summary
from tests.scripted import ScriptedEngine
from tests.unit.test_prompt import (
    ENGINE,
    WIDE,
    WRITER,
    claim,
    dialogue,
    history,
    reply_of,
    text_of,
)
from tests.unit.test_quotes import passage
from worker.prompt.build import build_prompt
from worker.prompt.message import PromptMessage
from worker.prompt.next_window import Ahead
from worker.prompt.prompt import Prompt
from worker.prompt.quotes import with_quotes
from worker.prompt.summaries import headed, summarised, with_summary
from worker.prompt.window import Budget
from worker.prompt.writer import PromptWriter
from worker.reading.reply_format import ReplyFormat
from worker.summaries.summarizer import Summarizer

BUDGET = replace(WIDE, summary=1_000, quotes=1_000)
SUMMARY = Summary(number=31, turns=15, text="The dog is Rex.\nVienna in May.", model="m")
SHOWN = "Summary of this conversation before what follows:\n> The dog is Rex.\n> Vienna in May.\n"


def prompt_of(*past: str, new: str = "And now?") -> Prompt:
    shown = history(*dialogue(*past, first=31), context="Be kind.")
    return build_prompt(WRITER, claim(new), replace(shown, offset=31, turns=99), BUDGET)


@given(text=st.text(), model=st.text(), number=st.integers(1, 1 << 53), made=st.integers(0))
def test_a_summary_is_read_as_it_was_written(text: str, model: str, number: int, made: int) -> None:
    made = min(made, 1 << 53)
    written = Summary(number=number, turns=7, text=text, model=model, made_ms=made)
    line = f"{number} 7 {'0' * 32} {written.encode().decode()}"
    assert Summary.decode(line) == written
    assert "\n" not in line
    assert Summary.decode(line.replace("0" * 32, "")) == written


@pytest.mark.parametrize(
    "line", ["", "9", "9 4 j", "9 4 j {}", "9 4 j []", "9 4 j x", 'x 4 j {"x":""}', '{"x":"y"}']
)
def test_what_another_version_wrote_is_none(line: str) -> None:
    assert Summary.decode(line) is None


def test_it_stands_in_front_of_what_the_user_says_first() -> None:
    prompt = with_summary(WRITER, prompt_of("One?", "Two."), SUMMARY, BUDGET)
    assert text_of(prompt) == (
        f"<system>Be kind.<end><user>{SHOWN}\nOne?<end><assistant>Two.<end>"
        "<user>And now?<end><assistant>"
    )
    assert prompt.summary == SUMMARY


def test_without_turns_in_view_it_stands_in_front_of_the_prompt_and_its_quotes() -> None:
    prompt = with_summary(WRITER, prompt_of(), SUMMARY, BUDGET)
    quoted = with_quotes(WRITER, prompt, [passage(3, "My dog is Rex.")], BUDGET)
    assert text_of(quoted).startswith(f"<system>Be kind.<end><user>{SHOWN}\nQuoted from earlier")
    assert text_of(quoted).endswith("> [3] User: My dog is Rex.\n\nAnd now?<end><assistant>")


def test_in_front_of_anybody_else_it_is_a_message_of_its_own() -> None:
    reply = PromptMessage.says("assistant", "Hello.")
    first, second = headed([reply], SUMMARY)
    assert first.message == ChatMessage(role="user", content=SHOWN)
    assert second == reply


def test_what_a_model_knows_of_the_tokens_of_a_message_that_it_heads_is_not_used() -> None:
    said = replace(PromptMessage.says("user", "One?"), token_ids=(1, 2))
    (first,) = headed([said], SUMMARY)
    assert first.token_ids is None


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_one_says_nothing(text: str) -> None:
    prompt = prompt_of("One?", "Two.")
    assert with_summary(WRITER, prompt, replace(SUMMARY, text=text), BUDGET) == prompt


def test_while_everything_is_in_view_it_says_nothing() -> None:
    prompt = build_prompt(WRITER, claim("And?"), history(*dialogue("One?", "Two.")), BUDGET)
    assert with_summary(WRITER, prompt, SUMMARY, BUDGET) == prompt


@pytest.mark.parametrize("budget", [replace(BUDGET, summary=20), replace(BUDGET, window=90)])
def test_one_without_room_is_left_out(budget: Budget) -> None:
    prompt = prompt_of("One?", "Two.")
    assert with_summary(WRITER, prompt, SUMMARY, budget) == prompt


def test_of_one_that_is_too_long_the_beginning_is_shown() -> None:
    prompt = prompt_of("One?", "Two.")
    room = len(SHOWN) - len("May.")
    shown = with_summary(WRITER, prompt, SUMMARY, replace(BUDGET, summary=room))
    assert "<user>Summary" in text_of(shown)
    assert "> The dog is Rex.\n> Vienna i…\n\nOne?" in text_of(shown)
    assert len(shown.token_ids) == len(prompt.token_ids) + room
    assert shown.summary is not None
    assert shown.summary.number == SUMMARY.number


@given(text=st.text(min_size=1), room=st.integers(0, 300))
def test_a_prompt_with_a_summary_never_takes_more_than_its_room(text: str, room: int) -> None:
    prompt = prompt_of("One?", "Two.")
    budget = replace(BUDGET, summary=room)
    shown = with_summary(WRITER, prompt, replace(SUMMARY, text=text), budget)
    assert len(shown.token_ids) <= len(prompt.token_ids) + room


@given(text=st.text(), new=st.text(), past=st.lists(st.text(), max_size=4))
def test_no_line_of_it_can_pose_as_anything_else(text: str, new: str, past: list[str]) -> None:
    """Control tokens are the template's alone, and each line is marked."""
    past = past if len(past) % 2 == 0 else past[1:]
    plain = prompt_of(*past, new=new)
    shown = with_summary(WRITER, plain, replace(SUMMARY, text=text), BUDGET)
    controls = [token for token in shown.token_ids if token >= 0x110000]
    assert controls == [token for token in plain.token_ids if token >= 0x110000]
    heading, *lines = summarised(text).splitlines()
    assert heading == SHOWN.splitlines()[0]
    assert all(line.startswith("> ") for line in lines if line.strip())


def ahead_of(prompt: Prompt, reply: str) -> Ahead:
    return Ahead(
        writer=WRITER,
        prompt=prompt,
        reply=reply_of(reply),
        num_tokens=len(reply),
        budget=BUDGET,
    )


@given(reply=st.text("ab", max_size=9), new=st.text("ab"), is_new=st.booleans())
def test_the_window_that_was_foreseen_begins_the_next_prompt(
    reply: str, new: str, is_new: bool
) -> None:
    prompt = with_summary(WRITER, prompt_of("One?", "Two."), SUMMARY, BUDGET)
    later = replace(SUMMARY, text="Other.") if is_new else SUMMARY
    window = ahead_of(prompt, reply).window_with(later)
    assert window is not None
    then = prompt_of("One?", "Two.", "And now?", reply, new=new)
    told = with_summary(WRITER, then, later, BUDGET)
    assert told.token_ids[: len(window.token_ids)] == window.token_ids
    assert ENGINE.detokenize(window.token_ids).endswith("<user>")


def test_a_window_that_goes_on_with_the_same_summary_needs_nothing_ahead() -> None:
    prompt = with_summary(WRITER, prompt_of("One?", "Two."), SUMMARY, BUDGET)
    assert ahead_of(prompt, "Four.").window() is None


def fold_of(*past: str, summary: Summary | None = None) -> tuple[Fold, list[StoredMessage]]:
    messages = list(dialogue(*past))
    fold = Fold(
        token="t",
        conversation_id="5",
        owner_id="ann",
        start=1,
        stop=len(messages) + 1,
        context="Be kind.",
        summary=summary,
    )
    return fold, messages


def summarizer(engine: ScriptedEngine, window: int = 3_000, longest: int = 200) -> Summarizer:
    writer = PromptWriter(engine, WRITER.template)
    return Summarizer(writer, ReplyFormat(), window=window, longest=longest)


async def test_it_is_asked_for_behind_the_conversation_itself() -> None:
    engine = ScriptedEngine(lambda _: " They said hello.\n")
    fold, messages = fold_of("One?", "Two.", summary=SUMMARY)
    folded = await summarizer(engine).fold(fold, messages)
    assert engine.prompts[0].startswith(
        f"<system>Be kind.<end><user>{SHOWN}\nOne?<end><assistant>Two.<end><user>Write down"
    )
    assert folded.summary.text == "They said hello."
    assert folded.summary.number == 3
    assert folded.num_tokens == len(engine.requests[0].prompt) + len(" They said hello.\n")
    assert folded.job_id == messages[-2].job_id


async def test_what_does_not_fit_is_left_for_the_next_step() -> None:
    engine = ScriptedEngine(lambda _: "So.")
    fold, messages = fold_of(*("word " * 40, "Two.") * 20)
    folded = await summarizer(engine).fold(fold, messages)
    assert 1 < folded.summary.number < len(messages)
    assert folded.summary.number % 2 == 1
    assert len(engine.requests[0].prompt) <= 3_000 - 200


async def test_a_turn_that_never_fits_is_passed_over() -> None:
    engine = ScriptedEngine(lambda _: "So.")
    fold, messages = fold_of("word " * 1_000, "Two.", "Three?", "Four.", summary=SUMMARY)
    folded = await summarizer(engine).fold(fold, messages)
    assert not engine.requests
    assert folded.summary.number == 3
    assert folded.summary.text == SUMMARY.text
    assert folded.num_tokens == 0


async def test_a_summary_is_never_longer_than_it_may_be_shown() -> None:
    engine = ScriptedEngine(lambda _: "x" * 500)
    fold, messages = fold_of("One?", "Two.")
    folded = await summarizer(engine).fold(fold, messages)
    assert len(summarised(folded.summary.text)) <= 200
