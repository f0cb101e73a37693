"""What an `Accept` header asks for."""

import pytest
from falcon import testing

from api.http.preferences import accepts, wants_events, wants_html

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "page", "events", "json"),
    [
        ("*/*", False, False, True),
        ("application/json", False, False, True),
        ("APPLICATION/JSON", False, False, True),
        (BROWSER, True, False, True),
        ("text/html", True, False, False),
        ("Text/HTML; q=0.9", True, False, False),
        ("text/html, */*;q=0.1", True, False, True),
        ("text/html;q=0.1, application/json", False, False, True),
        ("text/html;q=0.5, */*", False, False, True),
        ("text/html;q=0", False, False, False),
        ("text/html;q=0.000, */*", False, False, True),
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", True, False, True),
        ("text/event-stream", False, True, False),
        ("Text/Event-Stream", False, True, False),
        ("application/json, text/event-stream", False, True, True),
        ("text/event-stream;q=0.5, application/json", False, False, True),
        ("text/event-stream;q=0", False, False, False),
        ("text/event-stream;q=0, */*", False, False, True),
        ("application/json;q=0", False, False, False),
        ("*/*;q=0", False, False, False),
        ("application/json;q=0, */*", True, False, False),
        ("garbage", False, False, False),
        ("garbage, application/json", False, False, True),
        ("text/html;q=often, application/json", False, False, True),
        ("*/*;q=nan", False, False, False),
        ("image/png", False, False, False),
    ],
)
def test_what_is_wanted(accept: str, page: bool, events: bool, json: bool) -> None:
    req = testing.create_asgi_req(headers={"Accept": accept})
    assert (wants_html(req), accepts(req, "application/json")) == (page, json)
    if not page:
        assert wants_events(req) is events


def test_however_long_it_is_little_is_read_of_it() -> None:
    req = testing.create_asgi_req(headers={"Accept": "a/b;c=" + "d" * 5000 + ", */*" * 10_000})
    assert accepts(req, "application/json")
    req = testing.create_asgi_req(headers={"Accept": "a/b," * 10_000 + "*/*"})
    assert not accepts(req, "application/json")
