"""What a template does is found out by trying, also where it does only a part of it."""

import pytest

from shared.wire.messages import ChatMessage
from worker.template.chat_template import ChatTemplate
from worker.template.traits import Trim

TALK = [
    ChatMessage(role="user", content="Hi"),
    ChatMessage(role="assistant", content="\n \nTwo.\n \n"),
    ChatMessage(role="user", content="Go on"),
]


@pytest.mark.parametrize(
    ("shown", "trim", "content"),
    [
        ("content", None, "\n \nTwo.\n \n"),
        ("content.strip()", ("all", "all"), "Two."),
        ("content.lstrip('\n')", ("newlines", "none"), " \nTwo.\n \n"),
        ("content.rstrip()", ("none", "all"), "\n \nTwo."),
        ("content.strip('\n')", ("newlines", "newlines"), " \nTwo.\n "),
    ],
)
def test_a_reply_is_trimmed_where_the_template_trims_it(
    shown: str, trim: tuple[str, str] | None, content: str
) -> None:
    template = ChatTemplate(
        "{% for m in messages %}[{{ m.role }}]\n{% set content = m.content %}"
        "{% if m.role == 'assistant' %}{{ " + shown + " }}{% else %}{{ content }}{% endif %}"
        "<end>{% endfor %}"
    )
    trims = {(each.begin, each.end) for each in template.traits.trims}
    assert trims == ({trim} if trim else set())
    text = "".join(part.text for part in template.render(TALK).texts)
    assert text == f"[user]\nHi<end>[assistant]\n{content}<end>[user]\nGo on<end>"
    assert text == template.render_text(TALK)


def test_instructions_in_front_of_a_prompt_do_not_hide_that_it_is_trimmed() -> None:
    template = ChatTemplate(
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}"
        "[{{ m.role }}]{{ m.content | trim }}{% endfor %}"
    )
    assert Trim(role="user", begin="all", end="all") in template.traits.trims


def test_thoughts_are_known_where_a_switch_shows_them() -> None:
    template = ChatTemplate(
        "{% for m in messages %}[{{ m.role }}]{% if thinking and m.reasoning_content %}<think>"
        "{{ m.reasoning_content }}</think>{% endif %}{{ m.content }}{% endfor %}"
        "{% if thinking %}<think>{% endif %}"
    )
    assert template.traits.reasoning_field == "reasoning_content"
    assert template.traits.shows_thoughts == "always"
