"""The data folder after a crash of the machine: what can be read is kept, and it is said."""

from pathlib import Path

import httpx

from tests.e2e.processes import Palaver, running_palaver


def say(palaver: Palaver, prompt: str, **fields: object) -> httpx.Response:
    body = {"prompt": prompt, "max_tokens": 4, **fields}
    return httpx.post(palaver.url, json=body, timeout=60)


def test_a_torn_tail_of_the_append_only_file_is_cut_off_with_a_message(tmp_path: Path) -> None:
    with running_palaver(tmp_path) as palaver:
        first = say(palaver, "Remember this.").json()
    [file] = (tmp_path / "redis").rglob("*.incr.aof")
    with open(file, "ab") as torn:
        torn.write(b"*3\r\n$3\r\nSET\r\n$4\r\nhalf")
    with running_palaver(tmp_path) as palaver:
        palaver.wait_for(r"(?i)truncat")
        again = say(palaver, "Do you?", id=first["id"])
    assert again.status_code == 200
    assert again.json()["window"]["turns_kept"] == 2
