"""A terminal with a process in it: what is typed, and what a person would see."""

import asyncio
import contextlib
import fcntl
import os
import pty
import struct
import termios
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

import pyte

PATIENCE_S = 30


class Terminal:
    """What a process draws, on a screen of its own.

    Args:
        master: the side of the terminal that is not the process's.
    """

    def __init__(self, process: asyncio.subprocess.Process, master: int, size: tuple[int, int]):
        self._process = process
        self._master = master
        self._screen = pyte.HistoryScreen(*size, history=1000, ratio=0.5)
        # Programs ask where the cursor is, and wait for the answer.
        self._screen.write_process_input = self.type
        self._stream = pyte.ByteStream(self._screen)
        self._changed = asyncio.Event()
        self.raw = b""
        asyncio.get_running_loop().add_reader(master, self._read)

    def _read(self) -> None:
        try:
            piece = os.read(self._master, 65536)
        except OSError:  # the process has ended
            piece = b""
        if not piece:
            asyncio.get_running_loop().remove_reader(self._master)
        self.raw += piece
        self._stream.feed(piece)
        self._changed.set()

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def paste(self, text: str) -> None:
        """As terminals do where a program has asked for it."""
        self.type(f"\x1b[200~{text}\x1b[201~")

    @property
    def lines(self) -> list[str]:
        """All lines, those that have left the screen at the top included."""
        width = range(self._screen.columns)
        above = ["".join(line[x].data for x in width) for line in self._screen.history.top]
        return [line.rstrip() for line in (*above, *self._screen.display)]

    @property
    def text(self) -> str:
        return "\n".join(self.lines).rstrip()

    def style_of(self, text: str) -> pyte.screens.Char:
        """The first character of a text as it stands on the screen."""
        for y, line in enumerate(self._screen.display):
            if text in line:
                return self._screen.buffer[y][line.index(text)]
        raise AssertionError(f"{text!r} is not on the screen:\n{self.text}")

    async def until(self, there: str | Callable[[str], bool]) -> None:
        """Return when this can be seen."""
        is_there = there if callable(there) else lambda text: there in text
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not is_there(self.text):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"{there!r} did not come:\n{self.text}") from None

    async def ends(self) -> int:
        async with asyncio.timeout(PATIENCE_S):
            return await self._process.wait()


@contextlib.asynccontextmanager
async def terminal(
    command: Sequence[str],
    folder: Path,
    environ: Mapping[str, str],
    size: tuple[int, int] = (80, 24),
) -> AsyncIterator[Terminal]:
    """Start a command in a terminal of so many columns and lines."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))

    def make_it_ours() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            env={**environ, "TERM": "xterm-256color"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=make_it_ours,
        )
    finally:
        os.close(slave)
    try:
        yield Terminal(process, master, size)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        asyncio.get_running_loop().remove_reader(master)
        os.close(master)
