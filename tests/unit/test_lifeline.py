"""Processes notice the end of those that started them, even when these are killed."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.servers import environment, is_alive, process_tree

# Started by its parent (and grandparent); says when one of them is gone, and until then, asked by a
# signal, that it watches.
WATCHER = """
import asyncio, signal
from shared.process.lifeline import watch_ancestors

async def main():
    gone = asyncio.Event()
    loop = asyncio.get_running_loop()
    watch_ancestors(loop, gone.set)
    loop.add_signal_handler(signal.SIGUSR1, lambda: print("watching", flush=True))
    print("watching", flush=True)
    await gone.wait()
    print("gone", flush=True)

asyncio.run(main())
"""

# Starts one process with the rest of its arguments, and waits for it; survives its death.
PARENT = """
import subprocess, sys, signal
child = subprocess.Popen(sys.argv[1:])
child.wait()
signal.pause()
"""

# The same, and says to its child that it supervises it.
SUPERVISING_PARENT = """
import os, signal, subprocess, sys
from shared.environment import SUPERVISOR_VARIABLE
subprocess.Popen(sys.argv[1:], env={**os.environ, SUPERVISOR_VARIABLE: str(os.getpid())})
signal.pause()
"""

MORTAL_PARENT = """
import os, signal, subprocess, sys
from shared.process.lifeline import die_with_parent
me = os.getpid()
subprocess.Popen(
    [sys.executable, "-c", sys.argv[1]], preexec_fn=lambda: die_with_parent(me, signal.SIGTERM)
)
signal.pause()
"""

MORTAL = """
import signal
signal.signal(signal.SIGTERM, lambda *_: exit(print("told", flush=True)))
print("ready", flush=True)
signal.pause()
"""

pytestmark = pytest.mark.timeout(30)


def _heed_hangups() -> None:
    """Whatever the tests were started with."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Family:
    """A process and its descendants; what they write comes together."""

    def __init__(self, command: list[str], first_line: str, **variables: str) -> None:
        self.oldest = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(**variables),
            preexec_fn=_heed_hangups,
        )
        self.pids = [self.oldest.pid]
        assert self.line() == first_line
        self.pids = process_tree(self.oldest.pid)

    def line(self) -> str:
        """The next line of output."""
        assert self.oldest.stdout is not None
        return self.oldest.stdout.readline().rstrip("\n")

    def end(self) -> None:
        """Kill whoever is left."""
        for pid in self.pids:
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
        self.oldest.communicate()


Start = Callable[..., Family]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a family that does not outlive the test."""
    with contextlib.ExitStack() as families:

        def start_family(command: list[str], first_line: str, **variables: str) -> Family:
            family = Family(command, first_line, **variables)
            families.callback(family.end)
            return family

        yield start_family


def watched_by(generations: int) -> list[str]:
    """The command that starts a line of processes, the last of which watches its ancestors."""
    command = [sys.executable, "-c", WATCHER]
    for _ in range(generations):
        command = [sys.executable, "-c", PARENT, *command]
    return command


def test_the_end_of_the_parent_is_noticed(start: Start) -> None:
    family = start(watched_by(1), "watching")
    family.oldest.kill()
    assert family.line() == "gone"


def test_under_honcho_the_end_of_the_grandparent_is_noticed(start: Start) -> None:
    family = start(watched_by(2), "watching", HONCHO_PROCESS_NAME="api.1")
    family.oldest.kill()
    assert family.line() == "gone"


def test_without_honcho_the_grandparent_may_end(start: Start) -> None:
    family = start(watched_by(2), "watching")
    family.oldest.kill()
    family.oldest.wait()
    _, _, watcher = family.pids
    # The second answer comes a turn of its loop later: had it noticed, it would say so.
    for _ in range(2):
        os.kill(watcher, signal.SIGUSR1)
        assert family.line() == "watching"


def test_with_nohup_the_shell_may_end(start: Start) -> None:
    nohup = ["nohup", *watched_by(1)]
    family = start(nohup, "watching")
    family.oldest.kill()
    family.oldest.wait()
    *_, watcher = family.pids
    for _ in range(2):
        os.kill(watcher, signal.SIGUSR1)
        assert family.line() == "watching"


def test_with_nohup_the_end_of_a_supervisor_is_noticed(start: Start) -> None:
    child = [sys.executable, "-c", WATCHER]
    family = start(["nohup", sys.executable, "-c", SUPERVISING_PARENT, *child], "watching")
    family.oldest.kill()
    assert family.line() == "gone"


def test_a_process_may_ask_to_die_with_its_parent(start: Start) -> None:
    family = start([sys.executable, "-c", MORTAL_PARENT, MORTAL], "ready")
    family.oldest.kill()
    assert family.line() == "told"


# pidfd_open is refused, as some sandboxes do.
REFUSED = """
import asyncio, os, sys
from shared.process import lifeline

async def main():
    gone = asyncio.Event()
    loop = asyncio.get_running_loop()
    lifeline._poll_pid(loop, int(sys.argv[1]), gone.set)
    print("watching", flush=True)
    await gone.wait()
    print("gone", flush=True)

asyncio.run(main())
"""


def test_where_descriptors_are_refused_only_a_process_that_is_gone_is_gone() -> None:
    watched = subprocess.Popen(["sleep", "60"])
    command = [sys.executable, "-c", REFUSED, str(watched.pid)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watcher:
        assert watcher.stdout is not None
        assert watcher.stdout.readline() == "watching\n"
        watched.kill()
        watched.wait()
        assert watcher.stdout.readline() == "gone\n"


def test_the_first_process_of_a_container_goes_on() -> None:
    """In a namespace of its own a process has the number 1, and a parent that is not there."""
    code = (
        "import asyncio, os; from shared.process.lifeline import watch_ancestors\n"
        "async def main():\n"
        "    gone = asyncio.Event()\n"
        "    watch_ancestors(asyncio.get_running_loop(), gone.set)\n"
        "    await asyncio.sleep(0)\n"
        "    print(os.getpid(), os.getppid(), gone.is_set())\n"
        "asyncio.run(main())"
    )
    command = ["unshare", "--pid", "--fork", sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0 and "unshare" in done.stderr:
        pytest.skip("namespaces cannot be made here")
    assert done.stdout == "1 0 False\n", done.stderr
