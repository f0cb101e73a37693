"""API keys: the file that holds them, and the ring that finds them by their secret.

A key is shown once, when it is created; the file holds its SHA-256. Every API process checks before
each use whether the file has changed: changes need no restart.
"""

import contextlib
import dataclasses
import datetime
import fcntl
import hashlib
import hmac
import logging
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from api.http.key_entries import ApiKey, EntryRefused, Role, name_of
from shared.cells import spread_owner
from shared.errors import ConfigError
from shared.wire.limits import Limits

log = logging.getLogger(__name__)

_PREFIX: Final = "plv_"
_SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFileContents:
    """The contents of a file of keys.

    Args:
        refused: every entry that is not a valid key, and why.
        owners: the ids in all entries, because a key that somebody mistyped is not revoked.
    """

    keys: tuple[ApiKey, ...]
    refused: tuple[str, ...]
    owners: frozenset[str]


def digest_of(secret: str) -> str:
    """What is stored of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


class KeyFile:
    """The keys of one file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> KeyFileContents:
        """All keys. An invalid entry is refused, and the others remain valid.

        Raises:
            ConfigError: the file cannot be read, or is not a file of keys.
        """
        keys: dict[str, ApiKey] = {}
        refused: list[str] = []
        entries = self._document()["keys"]
        for number, entry in enumerate(entries, start=1):
            try:
                key = ApiKey.from_json(entry)
                if key.sha256 in keys:
                    raise EntryRefused(f"it has the secret of {keys[key.sha256].name!r}")
                keys[key.sha256] = key
            except EntryRefused as error:
                refused.append(f"API key {name_of(entry, number)} is refused: {error}")
        ids = (entry.get("id") for entry in entries if isinstance(entry, dict))
        owners = frozenset(name for name in ids if isinstance(name, str))
        return KeyFileContents(keys=tuple(keys.values()), refused=tuple(refused), owners=owners)

    def _document(self) -> dict[str, Any]:
        try:
            document = orjson.loads(self._path.read_bytes())
            if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
                raise ValueError("it has no list of `keys`")
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"PALAVER_API_KEYS_FILE={self._path}: not a file of API keys ({error}); create one "
                "with: palaver keys create NAME"
            ) from None
        return document

    def create(self, name: str, limits: Limits, role: Role = "user", *, spread: int = 1) -> str:
        """Create a key; returns its secret, which is not stored.

        Args:
            spread: in how many cells its conversations are to be.

        Raises:
            ConfigError: there is a key with this name.
        """
        secret = _PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        key = ApiKey(
            id=spread_owner(secrets.token_hex(8), spread),
            name=name,
            sha256=digest_of(secret),
            created_at=now,
            limits=limits,
            role=role,
        )
        try:
            ApiKey.from_json(key.to_json())
        except EntryRefused as error:
            raise ConfigError(str(error)) from None
        with self._changing() as entries:
            if any(_is_named(entry, name) for entry in entries):
                raise ConfigError(f"a key named {name!r} already exists")
            entries.append(key.to_json())
        return secret

    def revoke(self, name: str) -> None:
        """Make a key invalid. What was created with it stays, but nobody can reach it.

        Raises:
            ConfigError: there is no such key.
        """
        with self._changing() as entries:
            remaining = [entry for entry in entries if not _is_named(entry, name)]
            if len(remaining) == len(entries):
                raise ConfigError(f"there is no key named {name!r}")
            entries[:] = remaining

    def give_role(self, name: str, role: Role) -> None:
        """Make a key a user's or an operator's.

        Raises:
            ConfigError: there is no such key, or its entry is not valid.
        """
        with self._changing() as entries:
            at = next((at for at, entry in enumerate(entries) if _is_named(entry, name)), None)
            if at is None:
                raise ConfigError(f"there is no key named {name!r}")
            try:
                key = ApiKey.from_json(entries[at])
            except EntryRefused as error:
                raise ConfigError(f"API key {name!r} is refused: {error}") from None
            entries[at] = dataclasses.replace(key, role=role).to_json()

    def find(self, owner_id: str) -> ApiKey | None:
        """The valid key of an owner; None if there is none, or no file."""
        keys = self.read().keys if self._path.exists() else ()
        return next((key for key in keys if key.id == owner_id), None)

    def put(self, key: ApiKey) -> None:
        """Store a key as it is, in place of the one of its owner."""
        with self._changing() as entries:
            others = [entry for entry in entries if not _is_of(entry, key.id)]
            entries[:] = [*others, key.to_json()]

    @contextlib.contextmanager
    def _changing(self) -> Iterator[list[Any]]:
        """The entries, to be changed in place while the file is locked.

        Invalid entries stay, so that whoever wrote them can correct them.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with open(f"{self._path}.lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            document = self._document() if self._path.exists() else {"keys": []}
            yield document["keys"]
            self._write(document)

    def _write(self, document: dict[str, Any]) -> None:
        # Readers see the old file or the new one, never half of it. Only we can read it at first.
        descriptor, temporary = tempfile.mkstemp(dir=self._path.parent)
        with open(descriptor, "wb") as file:
            file.write(orjson.dumps(document, option=orjson.OPT_INDENT_2))
            if self._path.exists():
                # Whoever could read the old file still can: another user may run the command.
                old = self._path.stat()
                os.fchmod(file.fileno(), stat.S_IMODE(old.st_mode))
                with contextlib.suppress(PermissionError):
                    os.fchown(file.fileno(), old.st_uid, old.st_gid)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self._path)


def _is_of(entry: Any, owner_id: str) -> bool:
    return isinstance(entry, dict) and entry.get("id") == owner_id


def _is_named(entry: Any, name: str) -> bool:
    return isinstance(entry, dict) and entry.get("name") == name


class KeyRing:
    """Finds keys by their secret, as the file is at the moment."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = KeyFile(path)
        self._version: tuple[int, ...] | None = None
        self._contents = KeyFileContents(keys=(), refused=(), owners=frozenset())
        self._seen_owners: set[str] = set()
        self.error: ConfigError | None = None

    def load(self) -> None:
        """Read the file for the first time.

        Raises:
            ConfigError: it cannot be read.
        """
        self.refresh()
        if self.error is not None:
            raise self.error

    @property
    def revoked(self) -> frozenset[str]:
        """Owners that had a key since this process started, and have none any more."""
        return frozenset(self._seen_owners - self._contents.owners)

    @property
    def names(self) -> Mapping[str, str]:
        """What the owners are called, by id; revoked ones are not known any more."""
        self.refresh()
        return {key.id: key.name for key in self._contents.keys}

    def find(self, secret: str) -> ApiKey | None:
        """The key with this secret, if there is one."""
        self.refresh()
        digest, match = digest_of(secret), None
        for key in self._contents.keys:  # all of them: the time must not reveal anything
            if hmac.compare_digest(key.sha256, digest):
                match = key
        return match

    def refresh(self) -> None:
        """Read the file again if it has changed; an unreadable one leaves the keys as they were."""
        try:
            status = self._path.stat()
            # The time of the last change covers owner and mode: a file may become readable.
            version = (status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size)
            if version != self._version:
                self._contents, self.error = self._file.read(), None
                self._version = version
                self._seen_owners |= self._contents.owners
                for refusal in self._contents.refused:
                    log.error("%s; the other keys remain valid", refusal)
        except ConfigError as error:
            self._broken(error)
        except OSError as error:
            self._broken(ConfigError(f"PALAVER_API_KEYS_FILE={self._path}: {error.strerror}"))

    def _broken(self, error: ConfigError) -> None:
        if str(error) != str(self.error):
            log.error("%s; the keys stay as they were", error)
        self.error = error
