"""`palaver restore FILE`: puts a backup back into a running server.

The file is read twice. First all of it is checked, and compared with what is there; only then is
anything written. What is there already as the file has it stays, so a restore that broke off can be
repeated.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from api.http.key_entries import ApiKey
from api.http.keys import KeyFile
from cli.backup.counts import Counts
from cli.backup.file import BackupRefused, Reader
from shared.config import Settings
from shared.errors import ConfigError, PalaverError
from shared.store.archive import Archive
from shared.store.data_format import READABLE_FORMATS
from shared.wire.backup import (
    ConversationRecord,
    KeyRecord,
    PersonasRecord,
    Record,
    TokensRecord,
    UsageRecord,
)

_NAMED: Final = 5
"""How many of the things that differ are named."""


class WouldReplace(PalaverError):
    """Something else is where the file's contents belong; nothing was changed."""

    def __init__(self, path: Path, names: list[str], count: int) -> None:
        more = f" and {count - len(names)} more" if count > len(names) else ""
        super().__init__(
            f"{', '.join(names)}{more}: there already, and not as in {path}; nothing was changed. "
            "--replace puts the file's in their place"
        )


@dataclass(kw_only=True)
class _Difference:
    """What is there already, and not as the file has it."""

    names: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, name: str) -> None:
        self.count += 1
        if self.count <= _NAMED:
            self.names.append(name)


async def restore(archive: Archive, settings: Settings, path: Path, *, replace: bool) -> str:
    """Put a backup back; returns what to tell about it.

    Raises:
        BackupRefused: the file is not a whole backup; nothing was changed.
        WouldReplace: nothing was changed.
    """
    return await _Restoring(archive, settings, path, replace=replace).run()


class _Restoring:
    """One restore of one file."""

    def __init__(self, archive: Archive, settings: Settings, path: Path, *, replace: bool) -> None:
        self._archive = archive
        self._path = path
        self._replace = replace
        self._keys = None if settings.api_keys_file is None else KeyFile(settings.api_keys_file)
        self._restored = Counts()
        self._same = Counts()
        self._keys_left_out = 0

    async def run(self) -> str:
        await self._check()
        for record in Reader(self._path).records():
            await self._put_back(record)
        told = f"Restored {self._restored}."
        if self._same != Counts():
            told += f"\nThere already: {self._same}."
        if self._keys_left_out:
            told += (
                f"\nLeft out: {self._keys_left_out} API keys. PALAVER_API_KEYS_FILE, which names "
                "their file, is not set."
            )
        return told

    async def _check(self) -> None:
        reader, difference = Reader(self._path), _Difference()
        data_format = reader.header().data_format
        if data_format not in READABLE_FORMATS:
            raise BackupRefused(
                f"{self._path}: its data have format {data_format}, this version of Palaver reads "
                f"{' and '.join(READABLE_FORMATS)}"
            )
        for record in reader.records():
            for name in await self._other_than(record):
                difference.add(name)
        if difference.count and not self._replace:
            raise WouldReplace(self._path, difference.names, difference.count)

    async def _other_than(self, record: Record) -> list[str]:
        """Names of what is where a record belongs, and differs."""
        match record:
            case ConversationRecord():
                there = await self._archive.conversation(record.id)
                is_other = there is not None and there.record != record
                return [f"conversation {record.id}"] if is_other else []
            case PersonasRecord():
                theirs = await self._archive.personas(record.owner)
                known = {} if theirs is None else theirs.personas
                return [
                    f"persona {name} of {record.owner}"
                    for name, text in record.personas.items()
                    if known.get(name, text) != text
                ]
            case KeyRecord():
                key = ApiKey.from_json(record.entry)
                is_other = self._keys is not None and self._keys.find(key.id) not in (None, key)
                return [f"API key {key.name!r}"] if is_other else []
            case UsageRecord() | TokensRecord():
                return []

    async def _put_back(self, record: Record) -> None:
        match record:
            case ConversationRecord():
                is_same = not await self._restore_conversation(record)
            case PersonasRecord():
                is_same = await self._archive.personas(record.owner) == record
                await self._archive.restore_personas(record)
            case KeyRecord():
                if self._keys is None:
                    self._keys_left_out += 1
                    return
                key = ApiKey.from_json(record.entry)
                is_same = self._keys.find(key.id) == key
                self._keys.put(key)
            case UsageRecord() | TokensRecord():
                await self._archive.recount(record)
                return
        (self._same if is_same else self._restored).add(record)

    async def _restore_conversation(self, record: ConversationRecord) -> bool:
        """False if it was there as it is in the file."""
        there = await self._archive.conversation(record.id)
        if there is not None and there.record == record:
            return False
        if not await self._archive.restore(record, replace=self._replace):
            raise ConfigError(
                f"conversation {record.id} was begun meanwhile: stop whoever writes, and repeat"
            )
        return True
