"""API keys: made, shown once, revoked, found."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from api.keys import KeyFile, KeyRing
from shared.errors import ConfigError
from shared.limits import Limits
from tests.servers import environment

LIMITS = Limits(requests_per_minute=60, tokens_per_day=1000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_a_key_is_found_by_its_secret_and_by_nothing_else(path: Path) -> None:
    secret = KeyFile(path).create("alice", LIMITS)
    ring = KeyRing(path)
    key = ring.find(secret)
    assert key is not None
    assert (key.name, key.limits) == ("alice", LIMITS)
    for wrong in ("", secret[:-1], secret + "x", secret.upper(), key.sha256, key.id):
        assert ring.find(wrong) is None


def test_the_file_has_no_secret_and_is_its_owners_alone(path: Path) -> None:
    secret = KeyFile(path).create("alice", LIMITS)
    assert secret.removeprefix("plv_") not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_changes_in_the_file_holds_at_once(path: Path) -> None:
    file = KeyFile(path)
    first = file.create("first", LIMITS)
    ring = KeyRing(path)
    assert ring.find(first) is not None
    second = file.create("second", Limits())
    assert ring.find(second) is not None
    file.revoke("first")
    assert ring.find(first) is None
    assert ring.find(second) is not None


def test_a_key_made_again_under_the_same_name_is_another_owner(path: Path) -> None:
    file = KeyFile(path)
    ring = KeyRing(path)
    one = ring.find(file.create("alice", LIMITS))
    file.revoke("alice")
    other = ring.find(file.create("alice", LIMITS))
    assert one is not None
    assert other is not None
    assert one.id != other.id


def test_a_damaged_file_stops_the_start_and_not_a_running_server(path: Path) -> None:
    secret = KeyFile(path).create("alice", LIMITS)
    ring = KeyRing(path)
    ring.load()
    path.write_text('{"keys": [{"name": "half"')
    assert ring.find(secret) is not None, "the keys as they were"
    assert ring.error is not None
    with pytest.raises(ConfigError, match="not a file of API keys"):
        KeyRing(path).load()


def test_names_are_unique_and_must_exist(path: Path) -> None:
    file = KeyFile(path)
    file.create("alice", LIMITS)
    with pytest.raises(ConfigError, match="already"):
        file.create("alice", LIMITS)
    with pytest.raises(ConfigError, match="no key named 'bob'"):
        file.revoke("bob")


def run(path: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "api.keys", *arguments],
        env=environment(PALAVER_API_KEYS_FILE=str(path)),
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_line(path: Path) -> None:
    made = run(path, "create", "alice", "--requests-per-minute", "60", "--queued", "5")
    secret = made.stdout.strip()
    assert KeyRing(path).find(secret) is not None
    listed = run(path, "list").stdout
    assert listed.startswith("alice\t")
    assert listed.rstrip().endswith("requests_per_minute=60 queued=5")
    assert secret not in listed
    wrong = run(path, "create", "bob", "--in-flight", "0")
    assert wrong.returncode == 78
    assert "--in-flight=0" in wrong.stderr
    assert run(path, "revoke", "alice").returncode == 0
    assert KeyRing(path).find(secret) is None
    assert run(path, "revoke", "alice").returncode == 78
