"""Replies in parts: read as they are drawn, cut at stop strings, gone on with, directed."""

from collections.abc import Callable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.engine.scripted_backend import END, ScriptedBackend, Silent
from worker.engine.interface import (
    End,
    EngineError,
    GenerationRequest,
    Grammar,
    Part,
    PartKind,
    Piece,
)
from worker.engine.sequence import Sequence as Reply
from worker.engine.stop_strings import StopStrings

JSON = Grammar("json", "{}")


class Brackets:
    """Reads `(thought)`, behind which it forces a `!`, and `[call]`, in which a grammar holds."""

    def __init__(self, *, opens_thought: bool = False, ends_at: str = "") -> None:
        self._kind: PartKind = "reasoning" if opens_thought else "text"
        self._call = ""
        self._ends_at = ends_at
        self._forced = ""
        self.is_complete = False
        self.ending: str | None = None

    def push(self, text: str, *, is_control: bool = False) -> list[Part]:
        return [] if is_control else [part for letter in text for part in self._read(letter)]

    def _read(self, letter: str) -> list[Part]:
        if letter in "([":
            self._kind = "reasoning" if letter == "(" else "call"
        elif letter == ")":
            self._kind, self._forced = "text", "!"
        elif letter == "]":
            call, self._call, self._kind = self._call, "", "text"
            return [Part("call", call)]
        elif self._kind == "call":
            self._call += letter
        else:
            self.is_complete = letter == self._ends_at
            return [Part("reasoning" if self._kind == "reasoning" else "text", letter)]
        return []

    def finish(self, ending: str = "") -> list[Part]:
        self.ending = ending
        return [Part("text", self._call)] if self._call else []

    @property
    def is_reasoning(self) -> bool:
        return self._kind == "reasoning"

    @property
    def grammar(self) -> Grammar | None:
        return JSON if self._kind == "call" else None

    def take_forced(self) -> str:
        forced, self._forced = self._forced, ""
        return forced

    def end_reasoning(self) -> None:
        self._forced = ")"

    def go_on_in(self, kind: PartKind) -> None:
        self._kind, self._call = kind, ""


class Letters(ScriptedBackend):
    """A token is a character."""

    def piece_of(self, token: int) -> bytes:
        return b"" if token == END else chr(token).encode()

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        return list(map(ord, text))


def reply_of(
    reader: Callable[[], Brackets], sampler: Silent | None = None, **options: object
) -> tuple[Reply, list[Piece]]:
    pieces: list[Piece] = []

    def sink(item: Piece | EngineError) -> None:
        assert isinstance(item, Piece)
        pieces.append(item)

    request = GenerationRequest("s", (1,), **{"max_tokens": 999, "reader": reader, **options})  # type: ignore[arg-type]
    return Reply(request, Letters(), sampler or Silent(), sink), pieces


def write(reply: Reply, sampler: Silent, text: str) -> bool:
    """Draw the letters of a text, and first whatever is forced."""
    for letter in text:
        token = sampler.forced.pop(0) if sampler.forced else ord(letter)
        if reply.append(token):
            return True
    return False


def parts_of(pieces: Sequence[Piece]) -> list[tuple[str, str]]:
    """Kinds and texts, neighbours joined."""
    joined: list[tuple[str, str]] = []
    for part in (part for piece in pieces for part in piece.parts):
        if joined and joined[-1][0] == part.kind != "call":
            joined[-1] = (part.kind, joined[-1][1] + part.text)
        else:
            joined.append((part.kind, part.text))
    return joined


def ids_of(pieces: Sequence[Piece]) -> str:
    return "".join(chr(token) for piece in pieces for token in piece.token_ids)


def end_of(pieces: Sequence[Piece]) -> End:
    end = pieces[-1].end
    assert end is not None
    return end


def test_pieces_say_what_they_are_and_hold_every_token() -> None:
    sampler = Silent()
    reply, pieces = reply_of(Brackets, sampler)
    write(reply, sampler, "(why)!yes[now]ok")
    reply.append(END)
    assert parts_of(pieces) == [
        ("reasoning", "why"), ("text", "!yes"), ("call", "now"), ("text", "ok"),
    ]  # fmt: skip
    assert ids_of(pieces) == "(why)!yes[now]ok"
    assert (end_of(pieces).reason, end_of(pieces).reasoning_tokens) == ("stop", 4)


def test_stop_strings_end_the_text_and_no_thought() -> None:
    sampler = Silent()
    reply, pieces = reply_of(Brackets, sampler, stop=("END",))
    assert write(reply, sampler, "(the END is near)!the END")
    assert parts_of(pieces) == [("reasoning", "the END is near"), ("text", "!the ")]
    assert (end_of(pieces).reason, end_of(pieces).stop_string) == ("stop", "END")
    assert ids_of(pieces) == "(the END is near)!the END"


def test_a_reply_cut_at_its_limit_keeps_what_was_begun() -> None:
    sampler = Silent()
    reply, pieces = reply_of(Brackets, sampler, max_tokens=5)
    assert write(reply, sampler, "ok[now]")
    assert parts_of(pieces) == [("text", "okno")]
    assert end_of(pieces).reason == "length"


def test_thoughts_do_not_count_as_answer() -> None:
    sampler = Silent()
    reply, pieces = reply_of(Brackets, sampler, answer_limit=3)
    assert write(reply, sampler, "(a long thought)!yes and no")
    assert parts_of(pieces)[-1] == ("text", "!y")


def test_a_thought_is_closed_at_its_limit() -> None:
    sampler = Silent()
    reply, pieces = reply_of(lambda: Brackets(opens_thought=True), sampler, reasoning_limit=4)
    write(reply, sampler, "hmmmmmmmm")
    reply.append(END)
    assert parts_of(pieces) == [("reasoning", "hmmm"), ("text", "!mmm")]


def test_a_grammar_holds_as_long_as_the_reader_says() -> None:
    sampler = Silent()
    reply, _ = reply_of(Brackets, sampler)
    write(reply, sampler, "ok[now]ok")
    assert sampler.grammars == [JSON, None]


def test_a_reader_can_end_the_reply() -> None:
    sampler = Silent()
    reply, pieces = reply_of(lambda: Brackets(ends_at="z"), sampler)
    assert write(reply, sampler, "abzcd")
    assert (parts_of(pieces), end_of(pieces).reason) == ([("text", "abz")], "stop")


def test_the_end_tokens_text_is_read() -> None:
    readers: list[Brackets] = []

    def reader() -> Brackets:
        readers.append(Brackets())
        return readers[-1]

    reply, _ = reply_of(reader)
    reply.append(END)
    assert readers[-1].ending == "<end>"


@given(
    st.text("()[]ab!.", max_size=40), st.integers(0, 40), st.lists(st.sampled_from(["a.", "ab"]))
)
def test_another_start_goes_on_where_the_first_one_was_lost(
    text: str, lost_after: int, stop: list[str]
) -> None:
    """What was published before, and what the next start adds, is one unbroken reply."""
    sampler = Silent()
    whole, all_pieces = reply_of(Brackets, sampler, stop=tuple(stop))
    if not write(whole, sampler, text):
        whole.append(END)
    written = ids_of(all_pieces)
    first_sampler, second_sampler = Silent(), Silent()
    first, before = reply_of(Brackets, first_sampler, stop=tuple(stop))
    if write(first, first_sampler, written[:lost_after]):
        return
    published = ids_of(before)
    second, after = reply_of(
        Brackets, second_sampler, stop=tuple(stop), generated=tuple(map(ord, published))
    )
    if not write(second, second_sampler, written[len(published) :]):
        second.append(END)
    assert parts_of([*before, *after]) == parts_of(all_pieces)
    assert ids_of([*before, *after]) == written
    assert end_of(after).reasoning_tokens == end_of(all_pieces).reasoning_tokens


def behind(text: str, kind: PartKind, more: str, **options: object) -> list[tuple[str, str]]:
    """What is added to a reply that another model has begun."""
    sampler = Silent()
    generated = tuple(map(ord, text))
    reply, pieces = reply_of(
        lambda: Brackets(opens_thought=True),
        sampler,
        generated=generated,
        goes_on_in=kind,
        **options,
    )
    write(reply, sampler, more)
    reply.append(END)
    return parts_of(pieces)


def test_what_another_model_began_is_gone_on_with_in_its_part() -> None:
    assert behind("why", "reasoning", "not)!ok") == [("reasoning", "not"), ("text", "!ok")]
    assert behind("why)!a [b", "text", "cd") == [("text", "cd")]
    assert behind("why)!the E", "text", "ND", stop=("END",)) == [("text", "ND")]


def test_a_thought_of_another_model_that_is_too_long_is_closed_at_once() -> None:
    assert behind("whywhywhy", "reasoning", "mmm", reasoning_limit=4) == [("text", "!m")]


@given(
    st.lists(st.text("ab<é", max_size=5), max_size=10),
    st.lists(st.text("ab<é", min_size=1, max_size=4), max_size=3),
)
def test_text_passes_up_to_the_first_stop_string(pieces: list[str], stop: list[str]) -> None:
    stops = StopStrings(stop)
    passed = ""
    for piece in pieces:
        passed += stops.push(piece)
        if stops.hit is not None:
            break
    passed += stops.flush()
    text = "".join(pieces)
    assert text.startswith(passed)
    assert not any(string in passed for string in stop)
    if stops.hit is None:
        assert passed == text
    else:
        assert text[len(passed) :].startswith(stops.hit)
