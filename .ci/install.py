"""Make the virtual environment and install the pinned dependencies: `install.py FOLDER`.

Runs on a bare Python ≥ 3.11. llama-cpp-python is compiled on this machine, which takes minutes the
first time (pip keeps the result); everything else are wheels.
"""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
COMPILED = "llama-cpp-python"
STEP = re.compile(r"\[(\d+)/(\d+)\]")
WORTH_SAYING = re.compile(r"error|Successfully installed|Downloading|Building wheel", re.IGNORECASE)


def main() -> None:
    if sys.version_info < (3, 11):  # noqa: UP036 - that is what is to be found out
        sys.exit(f"palaver: Python 3.11 or newer is needed; this is {sys.version.split()[0]}")
    if not any(map(shutil.which, ("c++", "g++", "clang++"))):
        sys.exit("palaver: a C++ compiler is needed to build llama-cpp-python (g++ or clang++)")
    venv = Path(sys.argv[1])
    python = venv / "bin" / "python"
    if not python.exists():
        say(f"creating {venv}")
        run([sys.executable, "-m", "venv", str(venv)])
    pip = [str(python), "-m", "pip", "--disable-pip-version-check"]
    requirement = pinned(COMPILED)
    if not installed(pip, requirement):
        say(
            f"installing {requirement}: it is compiled for this machine, "
            "about five minutes on two cores the first time"
        )
        compile_with_progress([*pip, "install", "-v", "-c", str(CONSTRAINTS), requirement])
    say("installing the other dependencies")
    extras = f"{ROOT}[local,dev]"
    run([*pip, "install", "-q", "-c", str(CONSTRAINTS), "-e", extras])
    say("installed")


def pinned(package: str) -> str:
    """The line of the constraints that pins a package."""
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if line.replace("_", "-").startswith(f"{package}=="))


def installed(pip: list[str], requirement: str) -> bool:
    name, version = requirement.split("==")
    shown = subprocess.run([*pip, "show", name], capture_output=True, text=True, check=False)
    return f"\nVersion: {version}\n" in shown.stdout


def compile_with_progress(command: list[str]) -> None:
    """Run pip, show how far the compiler is, and its last lines if it fails."""
    started = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    assert process.stdout is not None
    last: list[str] = []
    for text in progress(process.stdout, last):
        minutes, seconds = divmod(int(time.monotonic() - started), 60)
        show(f"  {minutes}:{seconds:02} {text}")
    if sys.stdout.isatty():
        print()
    if process.wait() != 0:
        sys.exit("".join(last) + "palaver: the installation failed, see above")


def progress(lines: Iterator[str], last: list[str]) -> Iterator[str]:
    """What to show of pip's output; `last` keeps the newest lines."""
    shown_percent = -10
    for line in lines:
        last.append(line)
        del last[:-40]
        step = STEP.search(line)
        if step is None:
            if WORTH_SAYING.search(line) and len(line) < 200 and "/" not in line:
                yield line.strip()
            continue
        done, total = int(step[1]), int(step[2])
        percent = 100 * done // max(1, total)
        if sys.stdout.isatty() or percent >= shown_percent + 10 or done == total:
            shown_percent = percent
            yield f"compiling llama.cpp: {done} of {total} ({percent} %)"


def show(text: str) -> None:
    if sys.stdout.isatty():
        print(f"\r\x1b[K{text[:100]}", end="", flush=True)
    else:
        print(text, flush=True)


def say(text: str) -> None:
    print(f"palaver: {text}", flush=True)


def run(command: list[str]) -> None:
    if subprocess.run(command, check=False).returncode != 0:
        sys.exit(f"palaver: failed: {' '.join(command)}")


if __name__ == "__main__":
    main()
