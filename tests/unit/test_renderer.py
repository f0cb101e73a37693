"""A chat template is a foreign program: whatever it does, it harms one prompt at most."""

import os
import signal
from collections.abc import Iterator
from datetime import datetime

import pytest

from worker.template.environment import TemplateError
from worker.template.renderer import OwnProcess

NOON = datetime(2024, 5, 6, 12)
WAYWARD = (
    "{% if how == 'loops' %}{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}"
    "{% endfor %}{% elif how == 'grows' %}{% set ns = namespace(text='x') %}"
    "{% for a in range(40) %}{% set ns.text = ns.text + ns.text %}{% endfor %}"
    "{% elif how == 'writes' %}{% for a in range(99999) %}{{ 'x' * 400 }}{% endfor %}"
    "{% elif how == 'nests' %}{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}"
    "{% elif how == 'refuses' %}{{ raise_exception('only on Sundays') }}"
    "{% else %}{{ how }} in {{ strftime_now('%Y') }}{% endif %}"
)


@pytest.fixture(scope="module")
def renderer() -> Iterator[OwnProcess]:
    renderer = OwnProcess(WAYWARD, longest_s=1.0)
    yield renderer
    renderer.close()


def test_text_comes_out_as_it_is(renderer: OwnProcess) -> None:
    assert renderer.render({"how": "Grüße \ue000\n"}, NOON) == "Grüße \ue000\n in 2024"


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("loops", "takes more than 1 s"),
        ("grows", "too much memory"),
        ("writes", "a prompt of 39999600 characters|too much memory"),
        ("nests", "RecursionError"),
        ("refuses", "only on Sundays"),
    ],
)
def test_what_goes_wrong_is_an_error_and_the_next_prompt_is_rendered(
    renderer: OwnProcess, how: str, reason: str
) -> None:
    with pytest.raises(TemplateError, match=reason):
        renderer.render({"how": how}, NOON)
    assert renderer.render({"how": "well"}, NOON) == "well in 2024"


def test_a_process_that_is_killed_is_replaced(renderer: OwnProcess) -> None:
    assert renderer._child is not None
    os.kill(renderer._child.pid, signal.SIGKILL)
    with pytest.raises(TemplateError):
        renderer.render({"how": "well"}, NOON)
    assert renderer.render({"how": "well"}, NOON) == "well in 2024"


def test_what_is_no_template_is_refused() -> None:
    with pytest.raises(TemplateError, match="not a Jinja template"):
        OwnProcess("{% for %}")
