"""`palaver backup FILE`: everything that belongs to owners, while the server runs."""

from pathlib import Path

from api.http.keys import KeyFile
from cli.backup.counts import Counts
from cli.backup.file import Header, new_backup
from shared.config import Settings
from shared.store.archive import Archive, Dumped
from shared.wire.backup import KeyRecord


async def back_up(archive: Archive, settings: Settings, path: Path) -> str:
    """Write a backup; returns what to tell about it.

    Raises:
        ConfigError: the keys cannot be read.
    """
    counts, unfinished = Counts(), 0
    keys = [] if settings.api_keys_file is None else KeyFile(settings.api_keys_file).read().keys
    header = Header.now(await archive.data_format())
    with new_backup(path, header) as backup:
        for key in keys:
            entry = KeyRecord(entry=key.to_json())
            backup.write(entry)
            counts.add(entry)
        async for found in archive.records():
            if isinstance(found, Dumped):
                unfinished += found.unfinished
                found = found.record
            backup.write(found)
            counts.add(found)
    told = f"{path} has {counts}."
    if unfinished:
        told += f"\nNot in it: {unfinished} prompts that had no reply yet."
    return told
