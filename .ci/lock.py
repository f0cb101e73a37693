"""Write the lock, `constraints.txt`: every package that is installed, with its files' hashes.

    python .ci/lock.py            # what is locked stays where it can
    python .ci/lock.py --upgrade  # the newest versions that pyproject.toml allows

Needs uv on PATH; installing needs pip alone (`.ci/install.py`).
"""

import argparse
import re
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "constraints.txt"
OLDEST = "3.11"
OTEL = "# Traces: the extra otel"
DEVELOPMENT = "# Development"
"""Headings of the other parts; what stands above them is all that every user installs."""
HEADER = """\
# Every package that is installed, transitive ones included, with the hashes of all its files, for
# Python 3.11 and newer on Linux and macOS. Written by .ci/lock.py, installed by .ci/install.py.
"""
PLATFORMS = r" (?:;|and) \(?sys_platform == 'darwin' or sys_platform == 'linux'\)?"
"""What uv notes on every entry for the environments that pyproject.toml names."""
OPTIONS = (
    *("--universal", "--python-version", OLDEST, "--generate-hashes"),
    *("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links", "--quiet"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upgrade", action="store_true")
    before = {} if parser.parse_args().upgrade else entries(LOCK.read_text(encoding="utf-8"))
    runtime = resolve(before, "--extra", "local")
    traced = resolve(before | runtime, "--extra", "local", "--extra", "otel")
    everything = resolve(before | traced, "--all-extras", "--group", "dev")
    parts = [HEADER, *runtime.values()]
    parts += [f"\n{OTEL}\n", *beyond(runtime, traced)]
    parts += [f"\n{DEVELOPMENT}\n", *beyond(traced, everything)]
    LOCK.write_text("".join(parts), encoding="utf-8")


def beyond(fewer: dict[str, str], more: dict[str, str]) -> list[str]:
    """The entries of the packages that only `more` has."""
    return [entry for name, entry in more.items() if name not in fewer]


def resolve(pinned: dict[str, str], *wanted: str) -> dict[str, str]:
    """The lock's entries of what pyproject.toml asks for; `pinned` ones keep their version."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as constraints:
        constraints.writelines(f"{entry.split()[0]}\n" for entry in pinned.values())
        constraints.flush()
        command = ["uv", "pip", "compile", "pyproject.toml", *wanted, *OPTIONS]
        command += ["--constraint", constraints.name]
        resolved = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return entries(re.sub(PLATFORMS, "", resolved.stdout))


def entries(lock: str) -> dict[str, str]:
    """Each package's lines, by its name."""
    lines = re.finditer(r"^([\w.-]+)==.*\n(?: .*\n)*", lock, re.MULTILINE)
    return {match[1]: match[0] for match in lines}


if __name__ == "__main__":
    main()
