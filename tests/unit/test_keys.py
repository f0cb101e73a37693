"""API keys: made, shown once, revoked, found."""

import os
import re
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from api.http.keys import KeyFile, KeyRing, digest_of
from shared.errors import ConfigError
from shared.wire.limits import Limits
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


def test_a_key_is_a_users_until_it_is_made_an_operators(path: Path) -> None:
    file = KeyFile(path)
    ring = KeyRing(path)
    secret, other = file.create("alice", LIMITS), file.create("olga", LIMITS, "operator")

    def role_of(secret: str) -> str | None:
        key = ring.find(secret)
        return None if key is None else key.role

    assert (role_of(secret), role_of(other)) == ("user", "operator")
    file.give_role("alice", "operator")
    assert role_of(secret) == "operator"
    file.give_role("alice", "user")
    assert role_of(secret) == "user"
    with pytest.raises(ConfigError, match="no key named 'bob'"):
        file.give_role("bob", "operator")


def test_a_users_key_is_written_as_versions_before_roles_read_it(path: Path) -> None:
    file = KeyFile(path)
    file.create("alice", LIMITS, "operator")
    file.give_role("alice", "user")
    [entry] = orjson.loads(path.read_bytes())["keys"]
    assert set(entry) == {"id", "name", "sha256", "created_at", "limits"}


def test_owners_are_called_by_their_keys_names(path: Path) -> None:
    file, ring = KeyFile(path), KeyRing(path)
    key = ring.find(file.create("alice", LIMITS))
    assert key is not None
    assert ring.names == {key.id: "alice"}


def run(path: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "api.keys", *arguments],
        env=environment(PALAVER_API_KEYS_FILE=str(path)),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_the_command_line(path: Path) -> None:
    made = run(path, "create", "alice", "--requests-per-minute", "60", "--queued", "5")
    secret = made.stdout.strip()
    assert KeyRing(path).find(secret) is not None
    listed = run(path, "list").stdout
    assert listed.startswith("alice\t")
    assert listed.rstrip().endswith("requests_per_minute=60 queued=5")
    assert secret not in listed
    assert run(path, "role", "alice", "operator").returncode == 0
    assert run(path, "list").stdout.rstrip().endswith("\toperator")
    assert run(path, "role", "bob", "operator").returncode == 78
    assert run(path, "role", "alice", "root").returncode == 2
    assert run(path, "create", "olga", "--role", "operator").returncode == 0
    wrong = run(path, "create", "bob", "--in-flight", "0")
    assert wrong.returncode == 78
    assert "--in-flight=0" in wrong.stderr
    assert run(path, "revoke", "alice").returncode == 0
    assert KeyRing(path).find(secret) is None
    assert run(path, "revoke", "alice").returncode == 78


def good(name: str, **fields: Any) -> dict[str, Any]:
    entry = {"id": name, "name": name, "created_at": "2026-01-01", "limits": {}}
    return entry | {"sha256": digest_of(f"secret of {name}")} | fields


WRONG: dict[str, Any] = {
    "no object": "plv_a-key-that-stands-alone",
    "a number for the hash": good("bob", sha256=5),
    "a short hash": good("bob", sha256="abc"),
    "no hash": {name: value for name, value in good("bob").items() if name != "sha256"},
    "null for the id": good("bob", id=None),
    "the id of everybody": good("bob", id="default"),
    "an id that would name other keys": good("bob", id="bob:1\n"),
    "a list for the name": good("bob") | {"name": ["bob"]},
    "a role that there is not": good("bob", role="root"),
    "a list for the role": good("bob", role=["user"]),
    "a number for the time": good("bob", created_at=5),
    "a text for the limits": good("bob", limits="none"),
    "a negative limit": good("bob", limits={"in_flight": -1}),
    "no limit at all": good("bob", limits={"in_flight": 0}),
    "a limit that is a text": good("bob", limits={"in_flight": "5"}),
    "a limit that is a boolean": good("bob", limits={"in_flight": True}),
    "a limit with a fraction": good("bob", limits={"in_flight": 1.5}),
    "a limit beyond counting": good("bob", limits={"in_flight": 10**17}),
    "an unknown limit": good("bob", limits={"per_year": 5}),
    "an unknown field": good("bob", team="blue"),
    "a hash for a name": good(digest_of("secret of bob"), limits=None),
    "another one's secret": good("bob", sha256=digest_of("secret of alice")),
}


@pytest.mark.parametrize("what", WRONG)
def test_an_entry_that_is_no_key_is_refused_by_name_and_the_others_hold(
    path: Path, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = WRONG[what]
    path.write_bytes(orjson.dumps({"keys": [good("alice"), wrong, good("carol")]}))
    ring = KeyRing(path)
    ring.load()
    for name in ("alice", "carol"):
        found = ring.find(f"secret of {name}")
        assert found is not None
        assert found.name == name
    assert ring.find("secret of bob") is None
    [told] = [record.getMessage() for record in caplog.records]
    is_named = isinstance(wrong, dict) and wrong["name"] == "bob"
    assert ("'bob'" if is_named else "number 2") in told
    assert "plv_" not in told
    assert not re.search("[0-9a-f]{64}", told)


def test_a_refused_entry_is_told_of_once_and_keeps_its_owner(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_bytes(orjson.dumps({"keys": [good("bob", limits={"queued": -1})]}))
    ring = KeyRing(path)
    ring.load()
    for _ in range(5):
        assert ring.find("secret of bob") is None
    assert len(caplog.records) == 1
    assert "limits.queued" in caplog.text
    path.write_bytes(orjson.dumps({"keys": [good("bob", limits={"queued": True})]}))
    ring.refresh()
    assert ring.revoked == set(), "what is mistyped is not revoked"


def test_who_had_a_key_and_has_none_is_revoked_until_there_is_one_again(path: Path) -> None:
    path.write_bytes(orjson.dumps({"keys": [good("alice"), good("bob")]}))
    ring = KeyRing(path)
    ring.load()
    path.write_bytes(orjson.dumps({"keys": [good("alice")]}))
    ring.refresh()
    assert ring.revoked == {"bob"}
    path.write_text("damaged")
    ring.refresh()
    assert ring.revoked == {"bob"}
    path.write_bytes(orjson.dumps({"keys": [good("bob")]}))
    ring.refresh()
    assert ring.revoked == {"alice"}


def test_making_and_revoking_keys_leaves_entries_that_are_none(path: Path) -> None:
    wrong = good("bob", limits={"queued": -1})
    path.write_bytes(orjson.dumps({"keys": [wrong, good("alice")], "note": "by hand"}))
    file = KeyFile(path)
    file.create("carol", LIMITS)
    file.revoke("alice")
    document = orjson.loads(path.read_bytes())
    assert document["note"] == "by hand"
    assert document["keys"][0] == wrong
    assert [key.name for key in file.read().keys] == ["carol"]
    with pytest.raises(ConfigError, match="already"):
        file.create("bob", LIMITS)
    file.revoke("bob")
    assert file.read().refused == ()


@pytest.mark.slow
@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": 5}', b"\xff\xfe", b'{"keys": [']
)
def test_a_file_that_does_not_load_stops_the_start_in_one_sentence(
    path: Path, content: bytes
) -> None:
    path.write_bytes(content)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started = subprocess.run(
        [sys.executable, "-m", "api"],
        env=environment(
            PALAVER_API_KEYS_FILE=str(path),
            PORT=str(port),
            PALAVER_DATA_DIR=str(path.parent),
        ),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert started.returncode == 78
    [line] = started.stderr.strip().splitlines()
    assert "not a file of API keys" in line


def test_who_could_read_the_file_still_can_when_it_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    file = KeyFile(path)
    file.create("alice", Limits())
    path.chmod(0o640)
    file.create("bob", Limits())
    file.revoke("alice")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_file_that_could_not_be_read_is_read_once_it_can_be(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    ring, file = KeyRing(path), KeyFile(path)
    secret = file.create("alice", Limits())
    whole = path.read_bytes()
    path.write_bytes(b"{")
    assert ring.find(secret) is None
    status = path.stat()
    path.write_bytes(whole)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert ring.find(secret) is not None
