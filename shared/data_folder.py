"""The data folder: where its embedded server listens, and who can read it."""

import hashlib
import os
import stat
import tempfile
from pathlib import Path

from shared.errors import ConfigError

_MAX_SOCKET_PATH = 100
"""Bytes; the kernel's limit is about 107."""


def runtime_dir(data_dir: Path) -> Path:
    """The folder for the data folder's socket: private to this user, and with a short path."""
    digest = hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:16]
    name = f"palaver-{os.getuid()}-{digest}"
    for folder in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir()):
        if folder and os.access(folder, os.W_OK | os.X_OK):
            path = Path(folder) / name
            if len(os.fsencode(path / "redis.sock")) <= _MAX_SOCKET_PATH:
                return path
    return Path("/tmp") / name


def socket_path(data_dir: Path) -> Path:
    """Where the embedded server of this data folder listens."""
    return runtime_dir(data_dir) / "redis.sock"


def make_private(folder: Path) -> None:
    """Create a folder, and make it and its contents readable to this user alone.

    Raises:
        ConfigError: it belongs to another user.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        for path in folder.rglob("*"):
            if not path.is_symlink():
                path.chmod(0o700 if path.is_dir() else 0o600)
    except OSError as error:
        raise ConfigError(
            f"{error.filename or folder}: cannot be made private to this user ({error.strerror})"
        ) from None


def check_private(folder: Path) -> None:
    """Check that a folder, if it exists, is private: another user may have created it first.

    Raises:
        ConfigError: it is not.
    """
    try:
        status = folder.lstat()
    except FileNotFoundError:
        return
    private = stat.S_ISDIR(status.st_mode) and stat.S_IMODE(status.st_mode) & 0o077 == 0
    if not private or status.st_uid != os.getuid():
        raise ConfigError(f"{folder}: not a private folder of this user; remove it")
