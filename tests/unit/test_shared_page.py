"""The page of a shared conversation is complete, and what was said stays text."""

from collections.abc import Sequence
from html.parser import HTMLParser

import pytest

from api.sharing import page
from api.web.languages import Languages
from shared.wire.share import SharedConversation, SharedMessage

AT = "2026-11-22T18:02:41.007Z"
HOSTILE = (
    "<script>alert(1)</script>",
    "</div></li></ol><img src=x onerror=alert(1)>",
    "$title ${messages} $$",
    "[x](javascript:alert(1))",
    '" onmouseover="alert(1)',
)


class Seen(HTMLParser):
    """Tags and attributes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [f"{name}={value}" for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def page_of(conversation: SharedConversation, language: str = "en") -> str:
    return page.page_of(conversation, Languages().wanted(language))


def shared(messages: Sequence[SharedMessage], title: str | None = "Bees") -> SharedConversation:
    return {"title": title, "shared_at": AT, "messages": list(messages)}


def prompt(content: str) -> SharedMessage:
    return {"role": "user", "content": content, "timestamp": AT}


def reply(content: str) -> SharedMessage:
    return {"role": "assistant", "content": content, "timestamp": AT}


def test_prompts_are_text_and_replies_markdown() -> None:
    html = page_of(shared([prompt("**What** do bees eat?"), reply("**Nectar.**")]))
    assert "**What** do bees eat?" in html
    assert "<strong>Nectar.</strong>" in html
    assert "<title>Bees</title>" in html
    assert f'<time datetime="{AT}">2026-11-22</time>' in html


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_was_said_runs(text: str) -> None:
    seen = Seen(page_of(shared([prompt(text), reply(text)], title=text)))
    assert not {"script", "img"} & set(seen.tags)
    assert not [each for each in seen.attributes if each.startswith("on")]
    assert not [each for each in seen.attributes if "javascript:" in each]
    assert seen.tags.count("li") == 2


def test_what_would_take_long_to_render_is_plain_text() -> None:
    html = page_of(shared([reply("**a** " * 30_000), reply("**b** " * 30_000)]))
    assert "<strong>a</strong>" in html
    assert "**b**" in html


def test_a_conversation_without_a_title_or_messages_has_a_page() -> None:
    assert "A conversation" in page_of(shared([], title=None))


def test_what_the_page_says_is_in_its_readers_language() -> None:
    html = page_of(shared([prompt("Bees?")], title=None), "ar")
    assert '<html lang="ar" dir="rtl">' in html
    assert "محادثة" in html
    assert "أنت: " in html
    assert "You" not in Seen(html).text
