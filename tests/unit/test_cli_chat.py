"""What `palaver chat` writes of thoughts, calls and results."""

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from cli.__main__ import parser
from cli.chat import Chat
from cli.chat_options import ChatOptions
from cli.client import JobEvent, PalaverClient, ServerError
from cli.commands.chat import THINKING
from cli.last_conversation import LastConversation
from cli.models import NotServed, check_served, list_models
from cli.reply_writer import ReplyWriter, Screen, ShownReply, message_lines
from shared.wire import turn_request

CALL = {"id": "c1", "name": "weather", "arguments": '{\n  "city": "Paris"\n}'}
DONE = ("completed", {"window": {"turns_dropped": 0}})
THOUGHT = [("reasoning", {"text": "Let me\n"}), ("reasoning", {"text": "see."})]
ANSWER = ("token", {"text": "Four."})


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class ScriptedClient(PalaverClient):
    """Answers every prompt with the same events.

    Args:
        models: what the server lists.
    """

    def __init__(
        self, events: list[tuple[str, Mapping[str, Any]]], models: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        super().__init__("http://nowhere")
        self._models = models
        self.bodies: list[Mapping[str, Any]] = []
        self._events = events

    def submit(self, body: Mapping[str, Any]) -> Any:
        self.bodies.append(dict(body))
        return {"id": 1, "job": "j"}

    def events(self, job_id: str) -> Iterator[JobEvent]:
        del job_id
        for number, (kind, data) in enumerate(self._events):
            if kind == "interrupt":
                raise KeyboardInterrupt
            yield JobEvent(str(number), kind, data)

    def get(self, path: str) -> Any:
        return {"data": self._models} if path == "/v1/models" else {}

    def delete(self, path: str) -> Any:
        return {}


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """One prompt, and then the end of the input."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO("Two and two?\n"))


def written(
    out: io.StringIO,
    folder: Path,
    *events: tuple[str, Mapping[str, Any]],
    shows_thoughts: bool | None = None,
) -> str:
    """What a chat with one prompt writes."""
    screen = Screen(out, shows_thoughts=shows_thoughts)
    Chat(ScriptedClient([*events]), LastConversation(folder / "id", "u"), screen).run()
    return out.getvalue()


@pytest.mark.usefixtures("typed")
def test_thoughts_are_dimmed_in_a_terminal(tmp_path: Path) -> None:
    text = written(Terminal(), tmp_path, *THOUGHT, ANSWER, DONE)
    assert "\x1b[2mLet me\nsee.\x1b[0m\n\nFour.\n" in text


@pytest.mark.usefixtures("typed")
def test_elsewhere_there_are_no_thoughts_unless_asked_for(tmp_path: Path) -> None:
    text = written(io.StringIO(), tmp_path, *THOUGHT, ANSWER, DONE)
    assert "see" not in text
    assert "Four." in text


@pytest.mark.usefixtures("typed")
def test_thoughts_that_are_asked_for_are_told_from_the_answer_without_styles(
    tmp_path: Path,
) -> None:
    text = written(io.StringIO(), tmp_path, *THOUGHT, ANSWER, DONE, shows_thoughts=True)
    assert "(thinking) Let me\nsee.\n\nFour.\n" in text
    assert "\x1b" not in text


@pytest.mark.usefixtures("typed")
@pytest.mark.parametrize(
    "end",
    [
        ("cancelled", {}),
        ("failed", {"error": {"detail": "no"}}),
        ("interrupt", {}),
        ("resumed", {}),
    ],
)
def test_a_terminal_is_not_left_dimmed(tmp_path: Path, end: tuple[str, Mapping[str, Any]]) -> None:
    text = written(Terminal(), tmp_path, *THOUGHT, end)
    assert text.count("\x1b[2m") == text.count("\x1b[0m") == 1


@pytest.mark.usefixtures("typed")
def test_what_a_model_thinks_cannot_control_a_terminal(tmp_path: Path) -> None:
    evil = ("reasoning", {"text": "a\x1b[2Jb"})
    assert "a[2Jb" in written(Terminal(), tmp_path, evil, ANSWER, DONE)


@pytest.mark.usefixtures("typed")
def test_a_call_is_one_line_of_its_own(tmp_path: Path) -> None:
    text = written(io.StringIO(), tmp_path, ("token", {"text": "Wait."}), ("call", CALL), DONE)
    assert 'Wait.\n(calls weather with { "city": "Paris" })\n' in text


@pytest.mark.usefixtures("typed")
def test_events_of_newer_servers_are_ignored(tmp_path: Path) -> None:
    assert "Four." in written(io.StringIO(), tmp_path, ("picture", {}), ANSWER, DONE)


@pytest.mark.usefixtures("typed")
@pytest.mark.parametrize(("choice", "sent"), [(None, {}), ("low", {"reasoning": "low"})])
def test_how_much_to_think_is_sent_only_if_it_is_given(
    tmp_path: Path, choice: str | None, sent: dict[str, str]
) -> None:
    client = ScriptedClient([ANSWER, DONE])
    last = LastConversation(tmp_path / "id", "u")
    fields = ChatOptions(reasoning=choice, fields={}).prompt_fields
    Chat(client, last, Screen(io.StringIO()), fields=fields).run()
    assert client.bodies == [{"prompt": "Two and two?", **sent}]


def test_the_command_line_offers_what_the_server_knows() -> None:
    assert THINKING == turn_request.THINKING
    assert parser().parse_args(["chat", "--reasoning", "off"]).reasoning == "off"


def test_stored_calls_and_results_take_a_line_each() -> None:
    reply = {"role": "assistant", "content": "", "tool_calls": [CALL], "reasoning": "Hm."}
    assert message_lines(reply) == ['(calls weather with { "city": "Paris" })']
    result = {"role": "tool", "content": "9\ndegrees " + "x" * 500, "name": "weather"}
    [line] = message_lines(result)
    assert line.startswith("(weather gave 9 degrees xxx")
    assert len(line) < 250
    assert message_lines({"role": "assistant", "content": ""}) == [""]
    assert message_lines({"role": "user", "content": "Hi"}) == ["> Hi"]


MODELS = [
    {"id": "a", "context_length": 3500, "workers": 1, "capabilities": ["chat"]},
    {"id": "b", "context_length": 32768, "workers": 2, "capabilities": ["chat", "tools"]},
    {"id": "e\x1b[2J", "context_length": 512, "workers": 1, "capabilities": ["embeddings"]},
]


def chatted(
    monkeypatch: pytest.MonkeyPatch, folder: Path, *lines: str, model: str | None, answers: str = ""
) -> tuple[str, list[Mapping[str, Any]]]:
    """What a chat writes and sends, with a model that answers."""
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
    done = ("completed", {"window": {"turns_dropped": 0}, "model": answers})
    client, out = ScriptedClient([ANSWER, done], MODELS), io.StringIO()
    Chat(client, LastConversation(folder / "id", "u"), Screen(out), model=model).run()
    return out.getvalue(), client.bodies


def test_the_model_is_sent_with_every_prompt_once_it_is_chosen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lines = ("One.", "/model b", "Two.", "Three.")
    text, bodies = chatted(monkeypatch, tmp_path, *lines, model=None)
    assert [body.get("model") for body in bodies] == [None, "b", "b"]
    assert "b answers from the next prompt on." in text
    assert parser().parse_args(["chat", "--model", "b"]).model == "b"
    assert parser().parse_args(["bench", "--model", "b"]).model == "b"


def test_a_model_that_is_not_served_is_refused_with_those_that_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text, bodies = chatted(monkeypatch, tmp_path, "/model c", "One.", model="a")
    assert "Failed: no worker runs the model 'c'; there are a, b" in text
    assert [body["model"] for body in bodies] == ["a"]


def test_the_models_are_listed_with_a_mark_at_the_chosen_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text, _ = chatted(monkeypatch, tmp_path, "/model", model="b")
    assert "  a\t3,500 tokens\t1 worker\tchat\n* b\t32,768 tokens\t2 workers\tchat, tools\n" in text
    assert "embeddings" not in text


def test_another_model_than_expected_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text, _ = chatted(monkeypatch, tmp_path, "One.", "Two.", model=None, answers="a")
    assert "answered by" not in text
    text, _ = chatted(monkeypatch, tmp_path, "One.", model="b", answers="a")
    assert "(answered by a)" in text


def test_palaver_models_lists_what_is_served(capsys: pytest.CaptureFixture[str]) -> None:
    assert list_models(ScriptedClient([], MODELS)) == 0
    assert capsys.readouterr().out.splitlines() == [
        "a\t3,500 tokens\t1 worker\tchat",
        "b\t32,768 tokens\t2 workers\tchat, tools",
        "e[2J\t512 tokens\t1 worker\tembeddings",
    ]
    assert list_models(ScriptedClient([])) == 1
    assert "no worker is running" in capsys.readouterr().err


class OldServer(ScriptedClient):
    """Does not list its models."""

    def get(self, path: str) -> Any:
        raise ServerError(404, f"nothing at {path}", 0)


@pytest.mark.usefixtures("typed")
@pytest.mark.parametrize(
    ("reason", "is_offered"), [("length", True), ("stopped", True), ("stop", False), (None, False)]
)
def test_going_on_is_offered_behind_a_reply_that_was_cut(
    tmp_path: Path, reason: str | None, is_offered: bool
) -> None:
    done = ("completed", {"window": {"turns_dropped": 0}, "finish_reason": reason})
    text = written(io.StringIO(), tmp_path, ANSWER, done)
    assert ("/continue goes on" in text) is is_offered


@pytest.mark.parametrize(
    ("pieces", "new"),
    [
        (["One, two", ", three"], ", three"),
        (["One", ", t", "wo, three"], ", three"),
        (["One, ", "three"], "three"),  # what was held back is read in another way
        (["Else"], "Else"),
        (["One, two"], ""),
    ],
)
def test_of_a_continued_reply_only_what_is_new_is_written(pieces: list[str], new: str) -> None:
    out = io.StringIO()
    writer = ReplyWriter(Screen(out), ShownReply(text="One, two"))
    for piece in pieces:
        writer.text(piece)
    assert out.getvalue() == new


def test_whether_a_model_is_served() -> None:
    for client in (ScriptedClient([], MODELS[:1]), ScriptedClient([]), OldServer([])):
        check_served(client, "anything")
    check_served(ScriptedClient([], MODELS), "b")
    for name in ("c", MODELS[2]["id"]):
        with pytest.raises(NotServed, match=r"there are a, b$"):
            check_served(ScriptedClient([], MODELS), str(name))
