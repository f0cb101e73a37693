"""Write a data folder with an older version's own code, for `tests/e2e/test_old_data.py`.

    python -m tests.e2e.old_data.make 1     # tests/e2e/old_data/format-1.tar.gz
    python -m tests.e2e.old_data.make 2

Needs the git history. The old version runs from a folder of its own, with what is installed for
this one. It is stopped while turns wait, so that its queue is in the data, too.
"""

import argparse
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from tests.e2e.processes import ROOT, running_palaver

COMMITS: Final = {"1": "a547f00", "2": "920382f"}
"""The last commit that wrote each format."""
FOLDER: Final = Path(__file__).parent
WAITING: Final = tuple(f"Wait {number}." for number in range(6))
SHORT: Final = {"max_tokens": 8, "ignore_eos": True}
TEN_YEARS_S: Final = 315_360_000
"""Turns that wait have to be in time whenever the test runs."""


def archive_of(data_format: str) -> Path:
    return FOLDER / f"format-{data_format}.tar.gz"


@contextmanager
def old_version(data_format: str) -> Iterator[Path]:
    """A folder with the code of the last version that wrote a format.

    Raises:
        CalledProcessError: the history does not have it.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = ["git", "archive", COMMITS[data_format], "api", "cli", "shared", "worker"]
        packed = subprocess.run(
            [*command, "Procfile"], cwd=ROOT, check=True, stdout=subprocess.PIPE
        ).stdout
        subprocess.run(["tar", "-x", "-C", folder], input=packed, check=True)
        # These versions look themselves up under the name that the distribution had then.
        installed = Path(folder) / "palaver-0.1.0.dist-info"
        installed.mkdir()
        (installed / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: palaver\nVersion: 0.1.0\n"
        )
        yield Path(folder)


def live(url: str, data_format: str) -> None:
    """What an owner had done with that version."""

    def post(path: str, **body: Any) -> Any:
        return client.post(path, json=body).raise_for_status().json()

    with httpx.Client(base_url=url, timeout=60) as client:
        first = post("/", prompt="Name a famous person.", context="Be brief.", max_tokens=12)
        post("/", id=first["id"], prompt="Why is this person famous?", max_tokens=12)
        post("/", id=first["id"], prompt="When?", replace_from=3, max_tokens=12)
        conversation = post("/v1/conversations", metadata={"made": "by hand"})
        post(
            "/v1/responses", model="any", input="Hello.", max_output_tokens=16,
            conversation=conversation["id"],
        )  # fmt: skip
        if data_format == "2":
            call = {"type": "function_call", "call_id": "c", "name": "weather", "arguments": "{}"}
            result = {"type": "function_call_output", "call_id": "c", "output": "Rain."}
            question = {"type": "message", "role": "user", "content": "Weather?"}
            post(f"/v1/conversations/{conversation['id']}/items", items=[question, call, result])
        for prompt in WAITING:
            post("/jobs", prompt=prompt, **SHORT)


SERVE = (sys.executable, "-m", "shared.process.launch")
"""As these versions were started."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_format", choices=COMMITS)
    data_format = parser.parse_args().data_format
    with tempfile.TemporaryDirectory() as data, old_version(data_format) as code:
        settings = {"PALAVER_SLOTS": "1", "PALAVER_THREADS": "1"}
        settings["PALAVER_JOB_TIMEOUT"] = str(TEN_YEARS_S)
        with running_palaver(Path(data), 1, command=SERVE, folder=code, **settings) as palaver:
            live(palaver.url, data_format)
        with tarfile.open(archive_of(data_format), "w:gz", compresslevel=9) as packed:
            packed.add(Path(data) / "redis", "redis", filter=_anonymous)


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


if __name__ == "__main__":
    main()
