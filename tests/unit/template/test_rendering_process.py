"""A template runs where it can neither hang nor grow, and one prompt's failure is no other's."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from shared.wire.messages import ChatMessage
from worker.engine.loading import CHATML
from worker.template.chat_template import ChatTemplate
from worker.template.environment import TemplateError, TemplateLimit
from worker.template.rendering_process import RenderingProcess

pytestmark = pytest.mark.slow

NOW = datetime(2024, 2, 29, 12)
HANGS_ON_DEMAND = (
    "{% if hang %}{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    "{% elif refuse %}{{ raise_exception('only on Sundays') }}{% endif %}{{ text }}"
)


@pytest.fixture
def renderer() -> Iterator[RenderingProcess]:
    process = RenderingProcess(HANGS_ON_DEMAND, cpu_s=0.5)
    yield process
    process.close()


def test_it_writes_what_the_template_writes() -> None:
    renderer = RenderingProcess("{{ text }} {{ strftime_now('%d %b %Y') }}")
    try:
        assert renderer.render({"text": "ä\ud800\n\ue000"}, NOW) == "ä\ud800\n\ue000 29 Feb 2024"
    finally:
        renderer.close()


def test_its_prompts_are_those_of_this_process() -> None:
    messages = [ChatMessage(role="system", content="Hi\n"), ChatMessage(role="user", content='"')]
    isolated = ChatTemplate(CHATML, renderer=RenderingProcess(CHATML))
    try:
        assert isolated.render(messages) == ChatTemplate(CHATML).render(messages)
    finally:
        isolated.close()


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (HANGS_ON_DEMAND.replace("if hang", "if true"), "longer than 0.5 seconds"),
        ("{{ '%1000000000d' % 1 }}", "longer than 0.5 seconds|too much memory"),
        ("{{ 'a' * 10 ** 10 }}", "too much memory"),
        ("{% for a in range(99999) %}{{ 'abc' * 999 }}{% endfor %}", "more than 16,777,216 char"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "nested too deeply"),
        ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "nested too deeply"),
        ("{% if true %}" * 2000 + "{% endif %}" * 2000, "nested too deeply"),
        ("{{ '{:>9999999999}'.format(1) }}", "too much memory"),
    ],
)
def test_a_hostile_template_is_refused_at_the_start(source: str, reason: str) -> None:
    with pytest.raises(TemplateLimit, match=reason):
        ChatTemplate(source, renderer=RenderingProcess(source, cpu_s=0.5))


def test_what_is_no_template_is_refused() -> None:
    with pytest.raises(TemplateError, match="not a Jinja template"):
        RenderingProcess("{{")


def test_a_refusal_is_in_the_templates_words(renderer: RenderingProcess) -> None:
    with pytest.raises(TemplateError, match=r"^only on Sundays$"):
        renderer.render({"refuse": True}, NOW)
    assert renderer.render({"text": "on"}, NOW) == "on"


def test_a_prompt_that_hangs_fails_and_the_next_one_does_not(renderer: RenderingProcess) -> None:
    with pytest.raises(TemplateLimit, match=r"longer than 0\.5 seconds"):
        renderer.render({"hang": True}, NOW)
    assert renderer.render({"text": "on"}, NOW) == "on"


def test_a_prompt_does_not_wait_for_one_that_hangs(renderer: RenderingProcess) -> None:
    failures: list[TemplateError] = []

    def hang() -> None:
        try:
            renderer.render({"hang": True}, NOW)
        except TemplateError as error:
            failures.append(error)

    slow = threading.Thread(target=hang)
    slow.start()
    try:
        for _ in range(20):
            renderer.render({"text": "on"}, NOW)
        assert slow.is_alive()
    finally:
        slow.join()
    assert len(failures) == 1


def test_a_process_that_was_killed_meanwhile_is_replaced(renderer: RenderingProcess) -> None:
    (child,) = children(os.getpid(), "rendering_child")
    os.kill(child, signal.SIGKILL)
    assert renderer.render({"text": "on"}, NOW) == "on"


def test_what_it_is_given_may_be_nested_too_deeply(renderer: RenderingProcess) -> None:
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(TemplateLimit, match="nested too deeply"):
        renderer.render({"text": nested}, NOW)
    while nested:  # freed step by step: freeing it at once would take as deep a stack
        nested = nested[0]  # type: ignore[assignment]


def test_closing_ends_its_processes(renderer: RenderingProcess) -> None:
    renderer.close()
    assert not children(os.getpid(), "rendering_child")
    with pytest.raises(TemplateError, match="stops"):
        renderer.render({}, NOW)


def test_it_ends_with_the_worker_even_if_that_is_killed() -> None:
    source = (
        "from worker.template.rendering_process import RenderingProcess\n"
        "import signal; process = RenderingProcess('x'); print('ready', flush=True); signal.pause()"
    )
    worker = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE)
    with worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"ready\n"
        (child,) = children(worker.pid, "rendering_child")
        worker.kill()
    ended = threading.Event()
    for _ in range(500):
        if not is_running(child):
            return
        ended.wait(0.01)
    pytest.fail("it is left over")


def test_it_is_not_given_the_workers_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALAVER_REDIS_URL", "redis://:secret@localhost")
    renderer = RenderingProcess("x")
    try:
        (child,) = children(os.getpid(), "rendering_child")
        assert b"secret" not in Path(f"/proc/{child}/environ").read_bytes()
    finally:
        renderer.close()


def children(parent: int, name: str) -> list[int]:
    """Processes that a process has started, by a part of their command."""
    if not Path("/proc/self/task").is_dir():
        pytest.skip("needs /proc")
    tasks = Path(f"/proc/{parent}/task").iterdir()
    pids = [int(pid) for task in tasks for pid in text_of(task / "children").split()]
    return [pid for pid in pids if name in text_of(Path(f"/proc/{pid}/cmdline"))]


def text_of(path: Path) -> str:
    """Empty if what it is about has ended."""
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def is_running(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
