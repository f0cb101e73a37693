"""The process of a Procfile line: it keeps one child process running.

honcho stops everything when one of its processes ends, and a crash inside llama.cpp ends a process.
So each line runs this small supervisor, which restarts its child with backoff, passes SIGTERM on
once, and ends when the terminal or honcho goes away. If the child exits with `EX_CONFIG`,
restarting is pointless, and the supervisor exits with the same status. If it exits with
`EX_DRAINED`, it was asked to end for good: the supervisor ends with 0, or only waits if honcho
would stop everything else then.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Sequence

from shared.environment import RELOAD_VARIABLE, SUPERVISOR_VARIABLE
from shared.errors import EX_CONFIG, EX_DRAINED
from shared.process.lifeline import die_with_parent, ignores_hangups, watch_ancestors
from shared.trouble import Repeated

_BACKOFF_S = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0)
_STABLE_S = 30.0
"""A child that ran this long is restarted at once."""


class Supervisor:
    """Runs `command` until told to stop.

    Args:
        command: the child's argument vector.
        name: what the messages call it.
        death_signal: what the kernel sends the child if this process is killed.
        reload: whether `make dev` restarts the child when sources change.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        name: str,
        death_signal: int = signal.SIGKILL,
        reload: bool = False,
    ) -> None:
        self._command = command
        self._name = name
        self._death_signal = death_signal
        self._repeated = Repeated()
        self._reload = reload
        self._child: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self._reloading = False

    async def run(self) -> int:
        """Supervise until stopped; returns the exit status for our own process."""
        stop_on_signals(self._stopping)
        reloader = self._start_reloader()
        try:
            return await self._keep_alive()
        finally:
            if reloader is not None:
                reloader.cancel()

    async def _keep_alive(self) -> int:
        failures = 0
        while not self._stopping.is_set():
            started = time.monotonic()
            status = await self._run_once()
            if self._stopping.is_set() or status == EX_CONFIG:
                return 0 if self._stopping.is_set() else status
            if status == EX_DRAINED:
                return await self._retire()
            if self._reloading:
                self._reloading = False
                continue
            failures = 0 if time.monotonic() - started > _STABLE_S else failures + 1
            pause_s = _BACKOFF_S[min(max(failures - 1, 0), len(_BACKOFF_S) - 1)]
            line = f"ended with status {status}; starting again in {pause_s:g} s"
            if times := self._repeated.due(line):
                self._say(line if times == 1 else f"{line} ({times} times since the last message)")
            await self._sleep(pause_s)
        return 0

    async def _retire(self) -> int:
        """There is no child any more; honcho stops all processes when one of its own ends."""
        self._say("has drained, and is not started again")
        if "HONCHO_PROCESS_NAME" in os.environ:
            await self._stopping.wait()
        return 0

    async def _run_once(self) -> int:
        """Start the child and wait for its end; returns its exit status."""
        # In its own process group: honcho signals ours, and only we signal the child.
        parent = os.getpid()
        self._child = child = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.DEVNULL,
            env={**os.environ, SUPERVISOR_VARIABLE: str(parent)},
            process_group=0,
            preexec_fn=lambda: die_with_parent(parent, self._death_signal),
        )
        ended = asyncio.ensure_future(child.wait())
        stopping = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not ended.done():
            child.send_signal(signal.SIGTERM)
        return await ended

    async def _sleep(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    def _start_reloader(self) -> "asyncio.Task[None] | None":
        if not self._reload or os.environ.get(RELOAD_VARIABLE) != "1":
            return None
        return asyncio.create_task(self._reload_on_change())

    async def _reload_on_change(self) -> None:
        from watchfiles import awatch  # noqa: PLC0415 - a development tool, not installed elsewhere

        async for changes in awatch("api", "worker", "shared"):
            if self._child is not None and self._child.returncode is None:
                self._say(f"{len(changes)} file(s) changed; restarting")
                self._reloading = True
                self._child.send_signal(signal.SIGTERM)

    def _say(self, text: str) -> None:
        print(f"palaver: {self._name} {text}", file=sys.stderr, flush=True)


def stop_on_signals(stopping: asyncio.Event) -> None:
    """Set `stopping` on a signal to end, or when the process that started us has ended.

    Under `nohup` the end of the terminal changes nothing.
    """
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signum != signal.SIGHUP or not ignores_hangups():
            loop.add_signal_handler(signum, stopping.set)
    watch_ancestors(loop, stopping.set)


def supervise_module(module: str, *, name: str) -> int:
    """Supervise `python -m module`; returns the exit status for this process."""

    async def main() -> int:
        return await Supervisor([sys.executable, "-m", module], name=name, reload=True).run()

    return asyncio.run(main())
