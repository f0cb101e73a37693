"""API keys: the file that holds them, and the ring that finds them by their secret.

A key is shown once, when it is made; the file has its SHA-256. Every API process looks whether the
file has changed before it uses it, so that changes need no restart.
"""

import contextlib
import datetime
import fcntl
import hashlib
import hmac
import logging
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from api.http.key_entries import ApiKey, EntryRefused, name_of
from shared.errors import ConfigError
from shared.wire.limits import Limits

log = logging.getLogger(__name__)

_PREFIX: Final = "plv_"
_SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What stands in a file of keys.

    `refused` names every entry that is no key, and why; `owners` are the ids in all entries, for
    what somebody mistyped is not revoked.
    """

    keys: tuple[ApiKey, ...]
    refused: tuple[str, ...]
    owners: frozenset[str]


def digest_of(secret: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(secret.encode()).hexdigest()


class KeyFile:
    """The keys of one file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Contents:
        """All keys. An entry that is none is refused, and the others are keys all the same.

        Raises:
            ConfigError: the file cannot be read, or is no file of keys.
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
        return Contents(keys=tuple(keys.values()), refused=tuple(refused), owners=owners)

    def _document(self) -> dict[str, Any]:
        try:
            document = orjson.loads(self._path.read_bytes())
            if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
                raise ValueError("it has no list of `keys`")
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"PALAVER_API_KEYS_FILE={self._path}: not a file of API keys ({error}); make one "
                "with: python -m api.keys create NAME"
            ) from None
        return document

    def create(self, name: str, limits: Limits) -> str:
        """A new key; returns its secret, which is kept nowhere.

        Raises:
            ConfigError: there is one of this name.
        """
        secret = _PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        key = ApiKey(
            id=secrets.token_hex(8),
            name=name,
            sha256=digest_of(secret),
            created_at=now,
            limits=limits,
        )
        try:
            ApiKey.from_json(key.to_json())
        except EntryRefused as error:
            raise ConfigError(str(error)) from None
        with self._changing() as entries:
            if any(_is_named(entry, name) for entry in entries):
                raise ConfigError(f"there is a key named {name!r} already")
            entries.append(key.to_json())
        return secret

    def revoke(self, name: str) -> None:
        """A key is valid no more; what was made with it stays, and nobody reaches it.

        Raises:
            ConfigError: there is no such key.
        """
        with self._changing() as entries:
            left = [entry for entry in entries if not _is_named(entry, name)]
            if len(left) == len(entries):
                raise ConfigError(f"there is no key named {name!r}")
            entries[:] = left

    @contextlib.contextmanager
    def _changing(self) -> Iterator[list[Any]]:
        """The entries, to be changed in place; nobody else changes them meanwhile.

        Those that are no keys stay: whoever wrote them may mend them.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with open(f"{self._path}.lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            document = self._document() if self._path.exists() else {"keys": []}
            yield document["keys"]
            self._write(document)

    def _write(self, document: dict[str, Any]) -> None:
        # Readers see the old file or the new one, never half of it; it is created for us alone.
        descriptor, temporary = tempfile.mkstemp(dir=self._path.parent)
        with open(descriptor, "wb") as file:
            file.write(orjson.dumps(document, option=orjson.OPT_INDENT_2))
            if self._path.exists():
                # Whoever could read it still can: the command may be run by somebody else.
                old = self._path.stat()
                os.fchmod(file.fileno(), stat.S_IMODE(old.st_mode))
                with contextlib.suppress(PermissionError):
                    os.fchown(file.fileno(), old.st_uid, old.st_gid)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self._path)


def _is_named(entry: Any, name: str) -> bool:
    return isinstance(entry, dict) and entry.get("name") == name


class KeyRing:
    """Finds keys by their secret, as the file has them at the moment."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = KeyFile(path)
        self._seen: tuple[int, ...] | None = None
        self._contents = Contents(keys=(), refused=(), owners=frozenset())
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
        """Who had a key since this process has begun, and has none any more."""
        return frozenset(self._seen_owners - self._contents.owners)

    def find(self, secret: str) -> ApiKey | None:
        """The key with this secret, if there is one."""
        self.refresh()
        digest, found = digest_of(secret), None
        for key in self._contents.keys:  # all of them, so that the time says nothing
            if hmac.compare_digest(key.sha256, digest):
                found = key
        return found

    def refresh(self) -> None:
        """Read the file again if it is another; one that cannot be read changes nothing."""
        try:
            status = self._path.stat()
            # The time of its last change covers owner and mode: a file may become readable.
            seen = (status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size)
            if seen != self._seen:
                self._contents, self.error = self._file.read(), None
                self._seen = seen
                self._seen_owners |= self._contents.owners
                for refusal in self._contents.refused:
                    log.error("%s; the other keys hold", refusal)
        except ConfigError as error:
            self._broken(error)
        except OSError as error:
            self._broken(ConfigError(f"PALAVER_API_KEYS_FILE={self._path}: {error.strerror}"))

    def _broken(self, error: ConfigError) -> None:
        if str(error) != str(self.error):
            log.error("%s; the keys stay as they were", error)
        self.error = error
