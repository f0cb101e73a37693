"""`palaver repair`: a damaged append-only file is copied, and cut before the damage."""

import datetime
import os
import shutil
import sys
from pathlib import Path

from shared.config import DEFAULT_PORT, load_settings
from shared.data_folder import make_private
from shared.errors import ConfigError
from shared.process.append_only import Damage, append_only_folder, find_damage
from shared.process.embedded import DataLock


def repair() -> int:
    """Copy first, then cut; 1 if there is nothing that can be done."""
    try:
        settings = load_settings(PORT=DEFAULT_PORT)
        if settings.redis_url is not None:
            raise ConfigError("REDIS_URL is set: only the embedded server's files are ours to mend")
        if not append_only_folder(settings.data_dir).is_dir():
            raise ConfigError(f"PALAVER_DATA_DIR={settings.data_dir}: there is no append-only file")
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
        return "The append-only file is whole: nothing was changed."
    if damage.whole is None:
        raise ConfigError(
            f"{damage.file} is damaged, and all later commands build on it: bring a backup of the "
            "data folder back. Nothing was changed"
        )
    copy = _copy(data_dir)
    _cut(damage, damage.whole)
    return (
        f"{damage.file.name} is damaged at byte {damage.whole:,}: what came before it is kept.\n"
        f"Lost are the last {damage.lost_bytes:,} bytes, about {damage.lost_commands:,} commands.\n"
        f"Everything as it was is in {copy}"
    )


def _copy(data_dir: Path) -> Path:
    now = datetime.datetime.now().strftime("%Y-%m-%d-%H%M%S")
    folder = data_dir / f"redis-before-repair-{now}"
    shutil.copytree(append_only_folder(data_dir), folder)
    make_private(folder)
    return folder


def _cut(damage: Damage, whole: int) -> None:
    """The later files first: the other way round, a crash between would leave a gap."""
    for path, length in (*((path, 0) for path in reversed(damage.later)), (damage.file, whole)):
        os.truncate(path, length)
        with open(path, "rb+") as file:
            os.fsync(file.fileno())
