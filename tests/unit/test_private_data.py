"""What users say lies in files that nobody else on the machine can read."""

from pathlib import Path

from shared.data_folder import make_private


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_folder_and_all_that_lies_in_it_already_are_ours_alone(tmp_path: Path) -> None:
    folder, older = tmp_path / "data" / "redis", tmp_path / "data" / "redis" / "appendonlydir"
    older.mkdir(parents=True)
    (older / "appendonly.aof").write_text("what users said")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("somebody's")
    elsewhere.chmod(0o644)
    (folder / "link").symlink_to(elsewhere)
    for path in (folder, older):
        path.chmod(0o755)
    make_private(folder)
    assert (mode(folder), mode(older), mode(older / "appendonly.aof")) == (0o700, 0o700, 0o600)
    assert mode(elsewhere) == 0o644
