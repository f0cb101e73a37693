"""`python -m shared.process.keeper`: runs the embedded server until its clients have finished.

A service manager such as systemd signals all processes at once, and our parent may be killed. The
API and the workers still have turns to hand over then, so the server ignores SIGTERM: this process
ends it when its last client has disconnected. Whoever started our parent sees that it has ended
when its output does; so an orphan closes that, and the clients are told to stop.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import Final

from shared.config import Settings
from shared.data_folder import socket_path
from shared.environment import DEFAULT_PORT
from shared.errors import ConfigError, DataFolderTaken
from shared.process.append_only import check_append_only
from shared.process.embedded import DataLock, prepare_folders, server_binary, server_config
from shared.process.lifeline import die_with_parent
from shared.process.start import fail_start, settings_or_exit
from shared.process.supervisor import stop_on_signals

_LINGER_S: Final = 7.0
"""How long clients may take to disconnect, in addition to a worker's grace."""
_LOOK_S: Final = 0.02
_ENDS_WITHIN_S: Final = 15.0
_AGAIN_S: Final = 0.1
_PART: Final = 1 << 16
_REFUSED: Final = 1
"""The server's exit status if it cannot read its files, or fails to start otherwise."""


async def serve(settings: Settings) -> int:
    """Run the server until told to stop; returns the exit status.

    Raises:
        ConfigError: it cannot run on this data folder.
    """
    binary = server_binary()
    lock = DataLock(settings.data_dir)
    await _acquire(lock)
    try:
        prepare_folders(settings.data_dir)
        # For the files that the server creates.
        os.umask(0o077)
        return await _run(binary, settings, lock)
    finally:
        lock.release()


async def _acquire(lock: DataLock) -> None:
    """Take the lock; a server whose keeper was killed holds it until the server ends."""
    deadline = time.monotonic() + _ENDS_WITHIN_S
    while True:
        try:
            return lock.acquire()
        except DataFolderTaken:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(_AGAIN_S)


async def _run(binary: Path, settings: Settings, lock: DataLock) -> int:
    parent, stopping = os.getppid(), asyncio.Event()
    stop_on_signals(stopping)
    server = await _start(binary, server_config(settings.data_dir, settings.fsync), lock)
    relay = asyncio.create_task(_relay(server.stdout), name="output")
    ended = asyncio.ensure_future(server.wait())
    stopped = asyncio.ensure_future(stopping.wait())
    await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not ended.done():
        if os.getppid() != parent:
            _close_output()
        await _until_left_alone(socket_path(settings.data_dir), settings.grace + _LINGER_S)
        if server.returncode is None:
            server.send_signal(signal.SIGINT)
        await ended
        await relay
        return 0
    await relay
    if server.returncode == _REFUSED:
        check_append_only(settings.data_dir)
    return server.returncode or 1


async def _start(binary: Path, config: str, lock: DataLock) -> asyncio.subprocess.Process:
    keeper = os.getpid()

    def before_exec() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        die_with_parent(keeper, signal.SIGINT)  # on SIGINT it flushes its append-only file

    server = await asyncio.create_subprocess_exec(
        str(binary),
        "-",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        process_group=0,
        # It holds the lock, too: if we are killed, no other server starts before it has ended.
        pass_fds=(lock.fileno(),),
        preexec_fn=before_exec,
    )
    assert server.stdin is not None
    server.stdin.write(config.encode())
    server.stdin.close()
    return server


async def _relay(output: asyncio.StreamReader | None) -> None:
    """Pass on what the server writes, a part at a time."""
    assert output is not None
    while part := await output.read(_PART):
        with contextlib.suppress(OSError):
            os.write(sys.stdout.fileno(), part)


def _close_output() -> None:
    """Nobody reads it any more."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(null, stream.fileno())
    os.close(null)


async def _until_left_alone(path: Path, longest_s: float) -> None:
    """Return when no other client is connected, or after `longest_s`."""
    try:
        async with asyncio.timeout(longest_s):
            reader, writer = await asyncio.open_unix_connection(str(path))
            while True:
                writer.write(b"INFO clients\r\n")
                header = await reader.readline()
                body = await reader.readexactly(int(header[1:]) + 2)
                if b"connected_clients:1\r" in body:
                    break
                await asyncio.sleep(_LOOK_S)
            writer.close()
    except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
        return


def main() -> int:
    settings = settings_or_exit(PORT=DEFAULT_PORT)  # honcho sets PORT for every line
    try:
        return asyncio.run(serve(settings))
    except ConfigError as error:
        fail_start(error)


if __name__ == "__main__":
    sys.exit(main())
