"""How much of an append-only file is whole, wherever it ends or is damaged."""

from pathlib import Path

import pytest

from shared.errors import ConfigError
from shared.process.append_only import (
    append_only_folder,
    check_append_only,
    find_damage,
    whole_commands,
)


def command(*words: str) -> bytes:
    parts = [f"${len(word)}\r\n{word}\r\n" for word in words]
    return f"*{len(words)}\r\n{''.join(parts)}".encode()


ONE = command("SET", "a", "*1\r\n$4\r\nlike")
TWO = command("RPUSH", "list", "x" * 50)
SCRIPT = command("MULTI") + TWO + ONE + command("EXEC")
STAMP = b"#TS:1790000000\r\n"


def test_a_whole_file_is_whole() -> None:
    data = STAMP + ONE + SCRIPT + STAMP + TWO
    assert whole_commands(data) == (len(data), False)
    assert whole_commands(b"") == (0, False)


@pytest.mark.parametrize("kept", [1, 2, 5, 12, len(TWO) - 1])
def test_a_command_that_was_not_finished_is_no_damage(kept: int) -> None:
    assert whole_commands(ONE + TWO[:kept]) == (len(ONE), False)


@pytest.mark.parametrize(
    "damage", [b"\0" * 40, b"garbage", b"*0\r\n", b"$3\r\nSET\r\n", b"*2\r\n:1\r\n$1\r\na\r\n"]
)
def test_damage_is_where_no_command_stands(damage: bytes) -> None:
    assert whole_commands(ONE + damage + TWO * 3) == (len(ONE), True)


def test_a_wrong_length_is_damage() -> None:
    wrong = TWO.replace(b"$50", b"$49") + ONE
    assert whole_commands(ONE + wrong) == (len(ONE), True)


def test_what_a_script_did_is_kept_or_lost_together() -> None:
    within = len(command("MULTI") + TWO)
    assert whole_commands(ONE + SCRIPT[:within] + b"?" * 40) == (len(ONE), True)
    assert whole_commands(ONE + SCRIPT[:within]) == (len(ONE), False)


def write(data_dir: Path, **files: bytes) -> None:
    folder = append_only_folder(data_dir)
    folder.mkdir(parents=True)
    lines = []
    for number, (name, data) in enumerate(files.items(), start=1):
        (folder / name).write_bytes(data)
        lines.append(f"file {name} seq {number} type {'b' if name == 'base' else 'i'}\n")
    (folder / "appendonly.aof.manifest").write_text("".join(lines))


def test_files_behind_the_damage_are_lost_with_it(tmp_path: Path) -> None:
    write(tmp_path, base=ONE, first=ONE + b"?" * 40 + TWO, second=TWO * 3)
    damage = find_damage(tmp_path)
    assert damage is not None
    assert (damage.file.name, damage.whole) == ("first", len(ONE))
    assert [path.name for path in damage.later] == ["second"]
    assert damage.lost_bytes == 40 + 4 * len(TWO)
    assert damage.lost_commands == 4
    with pytest.raises(ConfigError, match="palaver repair"):
        check_append_only(tmp_path)


def test_a_damaged_snapshot_is_all_or_nothing(tmp_path: Path) -> None:
    write(tmp_path, base=b"VALKEY080" + b"?" * 100, first=ONE)
    damage = find_damage(tmp_path)
    assert damage is not None
    assert (damage.file.name, damage.whole) == ("base", None)

    with pytest.raises(ConfigError, match="backup"):
        check_append_only(tmp_path)


@pytest.mark.parametrize("text", ["nonsense", "file a seq", "file a seq x type i", "\xff"])
def test_a_damaged_manifest_is_damage(tmp_path: Path, text: str) -> None:
    write(tmp_path, base=ONE, first=ONE)
    manifest = append_only_folder(tmp_path) / "appendonly.aof.manifest"
    manifest.write_bytes(text.encode("latin-1"))
    damage = find_damage(tmp_path)
    assert damage is not None
    assert (damage.file, damage.whole) == (manifest, None)


def test_a_file_that_is_gone_is_damage(tmp_path: Path) -> None:
    write(tmp_path, base=ONE, first=ONE, second=TWO)
    (append_only_folder(tmp_path) / "first").unlink()
    damage = find_damage(tmp_path)
    assert damage is not None
    assert (damage.file.name, damage.whole, damage.lost_commands) == ("first", None, 1)


def test_without_files_there_is_no_damage(tmp_path: Path) -> None:
    check_append_only(tmp_path)
    write(tmp_path, base=ONE, first=ONE + TWO[:5])
    check_append_only(tmp_path)
