"""`palaver serve`: checks whether the start can succeed, then becomes honcho with a Procfile."""

import os
import socket
import sys
from pathlib import Path
from typing import Final, NoReturn

from shared.config import Settings
from shared.environment import RELOAD_VARIABLE, WORKERS_VARIABLE
from shared.errors import ConfigError
from shared.process.embedded import DataLock
from shared.process.logs import resolved
from shared.process.machine import usable_cores
from shared.process.parking import park_bytes
from shared.process.start import fail_start, settings_or_exit

PROCFILE: Final = Path(__file__).with_name("Procfile")
"""The repository's, which is installed with this file."""


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
    # The Procfile runs plain `python`; an empty PATH would mean the current folder.
    paths = [str(Path(sys.prefix) / "bin"), environ.get("PATH") or os.defpath]
    environ["PATH"] = os.pathsep.join(paths)
    environ["PYTHONUNBUFFERED"] = "1"
    # Under honcho, standard output is a pipe: only here is it known whether it is a terminal.
    environ["PALAVER_LOG_FORMAT"] = resolved(settings.log_format)
    environ[WORKERS_VARIABLE] = str(workers)
    if "grace" not in settings.model_fields_set:
        # Whoever presses Ctrl-C does not want to wait; what runs continues with the next start.
        environ["PALAVER_GRACE"] = "0"
    if settings.threads is None and workers > 0:
        environ["PALAVER_THREADS"] = str(max(1, usable_cores() // workers))
    if settings.park_bytes is None and workers > 0:
        environ["PALAVER_PARK_BYTES"] = str(park_bytes(settings, workers))
    return environ


def launch(workers: int, *, procfile: Path | None = None, reload: bool = False) -> NoReturn:
    """Become honcho, or end the process with `EX_CONFIG` and a message.

    Args:
        workers: how many processes of the line `worker`.
        procfile: whose lines are started; None for Palaver's own.
        reload: whether API and workers restart when sources change.
    """
    settings = settings_or_exit()
    try:
        if workers < 0:
            raise ConfigError(f"--workers {workers}: allowed are 0 and more")
        if procfile is not None and not procfile.is_file():
            raise ConfigError(f"--procfile {procfile}: there is no such file")
        check(settings)
    except ConfigError as error:
        fail_start(error)
    environ = environment(settings, workers)
    if reload:
        environ[RELOAD_VARIABLE] = "1"
    # No .env for honcho: it would drop spaces and '#', and the settings read it themselves.
    command = [sys.executable, "-m", "honcho", "-e", os.devnull]
    command += ["-f", str(procfile or PROCFILE), "start"]
    # `web` is what platforms call the API that their router asks.
    command += ["-p", str(settings.port), "-c", f"web=0,worker={workers}"]
    os.execve(sys.executable, command, environ)
