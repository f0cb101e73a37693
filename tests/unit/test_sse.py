"""Server-sent events: the HTML standard's rules, and the same events however a stream is cut."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.wire.sse import EventDecoder, ServerSentEvent

NO_LINE_ENDS = "a\x0b\x0c\x1c\x85\u2028\u2029b"


def decoded(*chunks: bytes) -> list[ServerSentEvent]:
    decoder = EventDecoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)]


def event(data: str, name: str = "message", event_id: str = "") -> ServerSentEvent:
    return ServerSentEvent(name=name, data=data, id=event_id)


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\n", [event("a")]),
        (b"data: a\r\rdata: b\r\n\r\ndata: c\n\r\n", [event("a"), event("b"), event("c")]),
        (b"data: a\r\r\ndata: b\n\n", [event("a"), event("b")]),
        (b"event: token\nid: 7-1\ndata: a\n\n", [event("a", "token", "7-1")]),
        # Several lines of data are one text; one space after the colon is left out, no more.
        (b"data: a\ndata:b\ndata:  c\n\n", [event("a\nb\n c")]),
        (b"data\n\n", [event("")]),
        (b"data\ndata\n\n", [event("\n")]),
        (b"data:\n\n", [event("")]),
        # Without data there is no event, and its name is forgotten.
        (b"event: token\n\ndata: a\n\n", [event("a")]),
        (b"data: a\n", []),
        (b"data: a\n\ndata: b", [event("a")]),
        # Comments and unknown fields.
        (b": ping\n\ndata: a\n: ping\ncolour: red\n\n", [event("a")]),
        (b":data: a\n\n", []),
        (b" data: a\n\n", []),
        (b"Data: a\n\n", []),
        # Ids hold on until another is given, an empty one included.
        (b"id: 1\ndata: a\n\ndata: b\n\n", [event("a", event_id="1"), event("b", event_id="1")]),
        (b"id: 1\n\ndata: a\n\n", [event("a", event_id="1")]),
        (b"id: 1\nid\ndata: a\n\n", [event("a")]),
        (b"id: 1\nid: 2\0\ndata: a\n\n", [event("a", event_id="1")]),
        # UTF-8, with a byte order mark at the start and nowhere else.
        (b"\xef\xbb\xbfdata: a\n\n", [event("a")]),
        (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", []),
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [event("a")]),
        (b"data: \xff\xe2\x82\n\n", [event("��")]),
        # What ends a line elsewhere does not end one here.
        (f"data: {NO_LINE_ENDS}\n\n".encode(), [event(NO_LINE_ENDS)]),
    ],
)
def test_a_stream_is_read_as_the_standard_says(
    stream: bytes, events: list[ServerSentEvent]
) -> None:
    assert decoded(stream) == events


@pytest.mark.parametrize(
    ("stream", "retry_ms"),
    [
        (b"retry: 1500\n", 1500),
        (b"retry: 10\nretry: 20\n", 20),
        (b"retry: 10\nretry: 1.5\nretry: -1\nretry\n", 10),
        ("retry: ٣\n".encode(), None),
        (b"retry: 10", None),
    ],
)
def test_retry_is_a_number_of_milliseconds(stream: bytes, retry_ms: int | None) -> None:
    decoder = EventDecoder()
    assert decoder.feed(stream) == []
    assert decoder.retry_ms == retry_ms


def test_an_event_is_there_with_the_last_byte_of_its_blank_line() -> None:
    decoder = EventDecoder()
    assert decoder.feed(b"data: a\r") == []
    assert decoder.feed(b"\n") == []
    assert decoder.feed(b"") == []
    assert decoder.feed(b"\r") == [event("a")], "it is not known whether an LF follows"
    assert decoder.feed(b"\ndata: b\n\n") == [event("b")]


FIELDS = (b"data", b"event", b"id", b"retry", b":", b": ", b"data: a\n\n", b"id: 1\r\n")
OTHERS = (b"\n", b"\r", b"\r\n", b"x", b"12", b"\0", b"\xff", b"\xef\xbb\xbf", "é🎉\u2028".encode())
PARTS = st.sampled_from((*FIELDS, *OTHERS))
STREAMS = st.lists(PARTS, max_size=30).map(b"".join)


@given(STREAMS, st.lists(st.integers(0, 120), max_size=12))
def test_cuts_change_nothing(stream: bytes, cuts: list[int]) -> None:
    borders = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    chunks = [stream[a:b] for a, b in itertools.pairwise(borders)]
    assert b"".join(chunks) == stream
    assert decoded(*chunks) == decoded(stream)


@given(STREAMS)
def test_bytes_one_by_one_give_the_same_events(stream: bytes) -> None:
    assert decoded(*(bytes([byte]) for byte in stream)) == decoded(stream)


@given(st.lists(st.text(), min_size=1, max_size=3), st.sampled_from(["\n", "\r", "\r\n"]))
def test_texts_arrive_as_they_were_written(texts: list[str], end: str) -> None:
    texts = [text.replace("\r", "").encode("utf-8", "replace").decode() for text in texts]
    stream = "".join(
        "".join(f"data: {line}{end}" for line in text.split("\n")) + end for text in texts
    )
    assert [one.data for one in decoded(stream.encode())] == texts
