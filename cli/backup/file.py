"""The file of a backup: JSON lines, a header first and an end last; gzip if its name ends in `.gz`.

The header says which version of this format it is. The end has the number of records and the
SHA-256 of everything before it, so that a file that was cut or changed is recognised.
"""

import datetime
import gzip
import hashlib
import os
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Literal, cast

import orjson
from pydantic import TypeAdapter, ValidationError

from shared.errors import PalaverError
from shared.wire.backup import Record, decode_record, encode_record

VERSION: Final = 1
"""Raised when a version before could not restore all of a file."""

_GZIP: Final = b"\x1f\x8b"
_LONGEST_HEADER: Final = 4096


class BackupRefused(PalaverError):
    """A file is no backup that can be restored; the text names it and says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The first line.

    Args:
        palaver_backup: the version of the file's format.
        data_format: of the data in Redis that it was made of.
    """

    palaver_backup: int
    data_format: str
    created_at: str

    @classmethod
    def now(cls, data_format: str) -> "Header":
        """Of a backup that begins now."""
        created_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        return cls(palaver_backup=VERSION, data_format=data_format, created_at=created_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """The last line."""

    kind: Literal["end"] = "end"
    records: int
    sha256: str


_HEADER: Final = TypeAdapter(Header)
_END: Final = TypeAdapter(_End)


class Writer:
    """Writes records to an open file."""

    def __init__(self, file: BinaryIO, header: Header) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._records = 0
        self._line(orjson.dumps(header))

    def write(self, record: Record) -> None:
        self._line(encode_record(record))
        self._records += 1

    def end(self) -> None:
        """Without it the file counts as cut."""
        end = _End(records=self._records, sha256=self._digest.hexdigest())
        self._line(orjson.dumps(end))

    def _line(self, text: bytes) -> None:
        self._digest.update(text + b"\n")
        self._file.write(text + b"\n")


@contextmanager
def new_backup(path: Path, header: Header) -> Iterator[Writer]:
    """A backup that takes its name when it is whole: what had it before stays until then."""
    with replacing(path) as file:
        writer = Writer(file, header)
        yield writer
        writer.end()


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that this user alone can read, and that takes its name when it is complete."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(descriptor, "wb") as raw:
            if path.suffix == ".gz":
                with gzip.GzipFile(path.stem, "wb", fileobj=raw) as packed:
                    yield cast("BinaryIO", packed)
            else:
                yield raw
            raw.flush()
            os.fsync(raw.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


class Reader:
    """Reads a backup, and knows at its end whether it was whole.

    Raises:
        BackupRefused: it is no backup, a newer one, cut, or damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def header(self) -> Header:
        """The first line alone."""
        with self._lines() as lines:
            return self._header(next(lines, b""))

    def records(self) -> Iterator[Record]:
        """All records. Whoever acts on them before the end may act on a part of a backup."""
        digest, count, end = hashlib.sha256(), 0, None
        with self._lines() as lines:
            first = next(lines, b"")
            self._header(first)
            digest.update(first)
            for line in lines:
                if end is not None:
                    raise self._refused("something stands behind its end")
                if line.startswith(b'{"kind":"end"'):
                    end = self._end(line)
                    continue
                yield self._record(line)
                digest.update(line)
                count += 1
        if end is None:
            raise self._refused("it was cut: its end is missing")
        if (end.records, end.sha256) != (count, digest.hexdigest()):
            raise self._refused("it is damaged: it is not what was written")

    @contextmanager
    def _lines(self) -> Iterator[Iterator[bytes]]:
        try:
            with open(self._path, "rb") as raw:
                is_packed = raw.peek(2)[:2] == _GZIP
                file = cast("BinaryIO", gzip.GzipFile(fileobj=raw)) if is_packed else raw
                first = file.readline(_LONGEST_HEADER)
                yield _chained(first, file)
        except EOFError:
            raise self._refused("it was cut: its end is missing") from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise self._refused(f"it is damaged ({error})") from None
        except OSError as error:
            raise self._refused(error.strerror or str(error)) from None

    def _header(self, line: bytes) -> Header:
        try:
            header = _HEADER.validate_json(line)
        except ValidationError:
            raise self._refused("it is not a backup of Palaver") from None
        if header.palaver_backup > VERSION:
            raise self._refused(
                f"it is of version {header.palaver_backup}, this version of Palaver restores up to "
                f"{VERSION}: use the one that wrote it, or a newer one"
            )
        return header

    def _record(self, line: bytes) -> Record:
        if not line.endswith(b"\n"):
            raise self._refused("it was cut: its end is missing")
        try:
            return decode_record(line)
        except ValueError:
            raise self._refused("it is damaged: a line is no record of a backup") from None

    def _end(self, line: bytes) -> _End:
        try:
            return _END.validate_json(line)
        except ValidationError:
            raise self._refused("it was cut: its end is missing") from None

    def _refused(self, reason: str) -> BackupRefused:
        return BackupRefused(f"{self._path}: {reason}")


def _chained(first: bytes, file: BinaryIO) -> Iterator[bytes]:
    yield first
    yield from file
