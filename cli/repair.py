"""`palaver repair`: copies a damaged append-only file and truncates it before the damage."""

import datetime
import os
import shutil
import sys
from pathlib import Path

from shared.config import load_settings
from shared.data_folder import make_private
from shared.environment import DEFAULT_PORT
from shared.errors import ConfigError
from shared.process.append_only import Damage, append_only_folder, find_damage
from shared.process.embedded import DataLock


def repair() -> int:
    """Copy first, then truncate; returns 1 if the file cannot be repaired."""
    try:
        settings = load_settings(PORT=DEFAULT_PORT)
        if settings.redis_url is not None:
            raise ConfigError("REDIS_URL is set: only the embedded server's files can be repaired")
        if not append_only_folder(settings.data_dir).is_dir():
            raise ConfigError(f"PALAVER_DATA_DIR={settings.data_dir}: no append-only file there")
        lock = DataLock(settings.data_dir)
        lock.acquire()
        try:
            print(_repair(settings.data_dir))
        finally:
            lock.release()
    except (ConfigError, OSError) as error:
        print(f"palaver: cannot repair: {error}", file=sys.stderr)
        return 1
    return 0


def _repair(data_dir: Path) -> str:
    damage = find_damage(data_dir)
    if damage is None:
        return "The append-only file is intact: nothing was changed."
    if damage.whole is None:
        raise ConfigError(
            f"{damage.file} is damaged, and everything after it depends on it: restore a backup "
            "of the data folder. Nothing was changed"
        )
    copy = _copy(data_dir)
    _truncate(damage, damage.whole)
    return (
        f"{damage.file.name} is damaged at byte {damage.whole:,}; everything before that is kept.\n"
        f"Lost: the last {damage.lost_bytes:,} bytes, about {damage.lost_commands:,} commands.\n"
        f"The original files are in {copy}"
    )


def _copy(data_dir: Path) -> Path:
    now = datetime.datetime.now().strftime("%Y-%m-%d-%H%M%S")
    folder = data_dir / f"redis-before-repair-{now}"
    shutil.copytree(append_only_folder(data_dir), folder)
    make_private(folder)
    return folder


def _truncate(damage: Damage, length: int) -> None:
    """Later files first: in the other order, a crash in between would leave a gap."""
    sizes = [*((path, 0) for path in reversed(damage.later)), (damage.file, length)]
    for path, size in sizes:
        os.truncate(path, size)
        with open(path, "rb+") as file:
            os.fsync(file.fileno())
