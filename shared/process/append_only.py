"""The embedded server's append-only file: where it is damaged, and what can be kept.

The file consists of a manifest, a base (a snapshot) and the commands since. The server itself cuts
off an unfinished last command after a crash; damage in the middle keeps it from starting. The
commands of one script are between MULTI and EXEC, and are kept or lost together.
"""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.errors import ConfigError
from shared.process.embedded import server_binary

_MANIFEST: Final = "appendonly.aof.manifest"
_LINE: Final = re.compile(rb"[*$](\d{1,10})\r\n")
_COMMAND: Final = re.compile(rb"\*\d+\r\n\$\d+\r\n")
_LONGEST_LINE: Final = 32
_SNAPSHOTS: Final = (b"REDIS", b"VALKEY")


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """The damaged part of the append-only file.

    Args:
        file: the first damaged file.
        whole: how many of its bytes can be kept; None if it is all or nothing (a snapshot, the
            manifest, a missing file).
        later: the files after it, which are useless without it.
        lost_bytes: in all of these files.
        lost_commands: number of commands that can still be recognised in the lost bytes.
    """

    file: Path
    whole: int | None
    later: tuple[Path, ...]
    lost_bytes: int
    lost_commands: int


class _Unfinished(Exception):
    """The file ends within a command."""


class _Unreadable(Exception):
    """There is no command at this position."""


def append_only_folder(data_dir: Path) -> Path:
    """The folder of the append-only file."""
    return data_dir / "redis" / "appendonlydir"


def find_damage(data_dir: Path) -> Damage | None:
    """The first damage; None if the server can read everything.

    Raises:
        OSError: the files cannot be read.
    """
    folder = append_only_folder(data_dir)
    try:
        files = list(_files(folder))
    except ValueError:
        return _damage(folder / _MANIFEST, None, ())
    for number, (file, is_base) in enumerate(files):
        later = tuple(path for path, _ in files[number + 1 :])
        if not file.exists():
            return _damage(file, None, later)
        if is_base and file.read_bytes()[: len(_SNAPSHOTS[1])].startswith(_SNAPSHOTS):
            if not _is_whole_snapshot(file):
                return _damage(file, None, later)
            continue
        whole, is_damaged = whole_commands(file.read_bytes())
        if is_damaged or (later and whole < file.stat().st_size):
            return _damage(file, whole, later)
    return None


def _damage(file: Path, whole: int | None, later: tuple[Path, ...]) -> Damage:
    lost = [file.read_bytes()[whole or 0 :] if file.exists() else b""]
    lost += [path.read_bytes() for path in later if path.exists()]
    return Damage(
        file=file,
        whole=whole,
        later=later,
        lost_bytes=sum(map(len, lost)),
        lost_commands=sum(len(_COMMAND.findall(data)) for data in lost),
    )


def _files(folder: Path) -> Iterator[tuple[Path, bool]]:
    """The files in order, each with whether it is the base.

    Raises:
        ValueError: the manifest is damaged.
    """
    manifest = folder / _MANIFEST
    if not manifest.exists():
        return
    entries = [line.split() for line in manifest.read_text(encoding="utf-8").splitlines()]
    listed = [dict(zip(words[::2], words[1::2], strict=True)) for words in entries]
    if any(not {"file", "seq", "type"} <= entry.keys() for entry in listed):
        raise ValueError("the manifest lists something other than files")
    for kind in ("b", "i"):
        for entry in sorted(listed, key=lambda item: int(item["seq"])):
            if entry["type"] == kind:
                yield folder / entry["file"], kind == "b"


def _is_whole_snapshot(file: Path) -> bool:
    """Whether the server could read it: its binary, run under another name, checks snapshots."""
    command = ["valkey-check-rdb", str(file)]
    done = subprocess.run(command, executable=server_binary(), capture_output=True, check=False)
    return done.returncode == 0


def whole_commands(data: bytes) -> tuple[int, bool]:
    """How many bytes of these are whole commands, and whether what follows is damaged.

    What follows and is not damaged is empty, or the beginning of a command.
    """
    at = whole = 0
    is_open = False
    while at < len(data):
        try:
            at, name = _command(data, at)
        except _Unfinished:
            return whole, False
        except _Unreadable:
            return whole, True
        is_open = name == b"MULTI" or (is_open and name != b"EXEC")
        if not is_open:
            whole = at
    return whole, False


def _command(data: bytes, at: int) -> tuple[int, bytes]:
    """The end of the command at this position, and its name."""
    if data[at : at + 1] == b"#":  # the time, between two commands
        end = data.find(b"\n", at)
        if end < 0:
            raise _Unfinished
        return end + 1, b""
    at, num_words = _number(data, at, b"*")
    if num_words == 0:
        raise _Unreadable
    name = b""
    for word in range(num_words):
        at, length = _number(data, at, b"$")
        if at + length + 2 > len(data):
            raise _Unfinished
        if data[at + length : at + length + 2] != b"\r\n":
            raise _Unreadable
        if word == 0:
            name = data[at : at + length].upper()
        at += length + 2
    return at, name


def _number(data: bytes, at: int, kind: bytes) -> tuple[int, int]:
    line = _LINE.match(data, at, at + _LONGEST_LINE)
    if line is None or data[at : at + 1] != kind:
        rest = data[at : at + _LONGEST_LINE]
        is_cut = len(rest) < _LONGEST_LINE and re.fullmatch(rb"[*$]?\d{0,10}\r?", rest)
        raise _Unfinished if is_cut else _Unreadable
    return line.end(), int(line[1])


def check_append_only(data_dir: Path) -> None:
    """Check whether a server that did not start can start at all.

    Raises:
        ConfigError: its append-only file is damaged.
    """
    try:
        damage = find_damage(data_dir)
    except OSError:
        return
    if damage is None:
        return
    if damage.whole is None:
        raise ConfigError(
            f"{damage.file} is damaged, and everything later depends on it: restore a backup of "
            f"{data_dir / 'redis'}"
        )
    raise ConfigError(
        f"{damage.file}: the append-only file is damaged; `palaver repair` copies it, keeps what "
        "can be read, and reports what is lost (or restore a backup)"
    )
