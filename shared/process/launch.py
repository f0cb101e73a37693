"""`make run`: checks whether the start can succeed, then becomes honcho with the Procfile."""

import argparse
import os
import socket
import sys
from pathlib import Path

from shared.config import Settings
from shared.environment import RELOAD_VARIABLE, WORKERS_VARIABLE
from shared.errors import ConfigError
from shared.process.embedded import DataLock
from shared.process.logs import resolved
from shared.process.machine import usable_cores
from shared.process.parking import park_bytes
from shared.process.start import fail_start, settings_or_exit


def check_port(host: str, port: int) -> None:
    """Raises: ConfigError if the port cannot be used."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(
                f"PORT={port}: cannot listen on {host}: {error.strerror}; "
                "stop what uses it, or choose another port"
            ) from None


def check(settings: Settings) -> None:
    """Raises: ConfigError if this start cannot succeed."""
    check_port(settings.host, settings.port)
    if settings.redis_url is None:
        lock = DataLock(settings.data_dir)
        lock.acquire()
        lock.release()


def environment(settings: Settings, workers: int) -> dict[str, str]:
    """The environment of all processes."""
    environ = dict(os.environ)
    # `sys.prefix` is the virtual environment; the Procfile runs plain `python`.
    environ["PATH"] = os.pathsep.join([str(Path(sys.prefix) / "bin"), environ.get("PATH", "")])
    environ["PYTHONUNBUFFERED"] = "1"
    # Under honcho, standard output is a pipe: only here is it known whether it is a terminal.
    environ["PALAVER_LOG_FORMAT"] = resolved(settings.log_format)
    environ[WORKERS_VARIABLE] = str(workers)
    if settings.threads is None and workers > 0:
        environ["PALAVER_THREADS"] = str(max(1, usable_cores() // workers))
    if settings.park_bytes is None and workers > 0:
        environ["PALAVER_PARK_BYTES"] = str(park_bytes(settings, workers))
    return environ


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m shared.process.launch", description=__doc__)
    parser.add_argument("--workers", type=int, default=1, help="worker processes (default: 1)")
    parser.add_argument("--reload", action="store_true", help="restart when sources change")
    arguments = parser.parse_args()
    settings = settings_or_exit()
    try:
        if arguments.workers < 0:
            raise ConfigError(f"WORKERS={arguments.workers}: allowed are 0 and more")
        check(settings)
    except ConfigError as error:
        fail_start(error)
    environ = environment(settings, arguments.workers)
    if arguments.reload:
        environ[RELOAD_VARIABLE] = "1"
    # No .env for honcho: it would drop spaces and '#', and the settings read it themselves.
    command = [sys.executable, "-m", "honcho", "-e", os.devnull, "start"]
    command += ["-p", str(settings.port), "-c", f"worker={arguments.workers}"]
    os.execve(sys.executable, command, environ)


if __name__ == "__main__":
    main()
