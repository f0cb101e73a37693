"""Processes that end with their parent, so none is left over when the parent is killed."""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable

from shared.environment import SUPERVISOR_VARIABLE

_PR_SET_PDEATHSIG = 1
_POLL_S = 1.0


def die_with_parent(parent: int, signum: int = signal.SIGKILL) -> None:
    """Ask the kernel for `signum` when the process `parent` ends (Linux; elsewhere nothing).

    Meant for `preexec_fn`: runs in the child, between fork and exec.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signum)
        if os.getppid() != parent:  # it ended before the request
            os.kill(os.getpid(), signum)


def ignores_hangups() -> bool:
    """Whether we were started with `nohup`."""
    return signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def watch_ancestors(loop: asyncio.AbstractEventLoop, gone: Callable[[], None]) -> None:
    """Call `gone` when a process that started us has ended.

    These are the parent and, under honcho (which starts each line through a helper process), the
    parent's parent. The parent of a container's first process is outside the container and need not
    be watched. Under `nohup`, a parent that is neither honcho nor a supervisor is a shell, which
    may end.
    """
    ancestors = [os.getppid()]
    is_ours = "HONCHO_PROCESS_NAME" in os.environ or (
        os.environ.get(SUPERVISOR_VARIABLE) == str(ancestors[0])
    )
    if ignores_hangups() and not is_ours:
        return
    if "HONCHO_PROCESS_NAME" in os.environ and (grandparent := _parent_of(ancestors[0])):
        ancestors.append(grandparent)
    for pid in ancestors:
        if pid > 0:
            _watch_pid(loop, pid, gone)


def _parent_of(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            parent = int(file.read().rpartition(")")[2].split()[1])
    except OSError:
        return None
    return parent if parent > 1 else None


def _watch_pid(loop: asyncio.AbstractEventLoop, pid: int, gone: Callable[[], None]) -> None:
    """Watch by a pidfd, or poll: pidfds may be refused, and do not exist on macOS."""
    try:
        descriptor = os.pidfd_open(pid) if sys.platform == "linux" else None
    except ProcessLookupError:
        loop.call_soon(gone)
        return
    except OSError:
        descriptor = None
    if descriptor is None:
        _poll_pid(loop, pid, gone)
        return

    def readable() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        gone()

    loop.add_reader(descriptor, readable)


def _poll_pid(loop: asyncio.AbstractEventLoop, pid: int, gone: Callable[[], None]) -> None:
    if _has_gone(pid):
        gone()
    else:
        loop.call_later(_POLL_S, _poll_pid, loop, pid, gone)


def _has_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        # It exists, and belongs to another user.
        return False
    return False
