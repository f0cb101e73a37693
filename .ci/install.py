"""Make the virtual environment and install what is locked: `install.py FOLDER [--otel | --dev]`.

Runs on a bare Python ≥ 3.11 and its pip, which checks the hash of every file. `--otel` adds what
sends traces to an environment that is there; `--dev` adds that, and the test and lint tools.
llama-cpp-python is compiled on this machine, which takes minutes; everything else is a wheel. The
environment variable `GPU` names the kind of GPU to compile for, `CMAKE_ARGS` adds to CMake's
arguments. A finished build stays until another version or another kind is asked for.
"""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from shutil import which

from gpu_build import KINDS, Build, cuda_architectures, gpu_build

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "constraints.txt"
OTEL = "# Traces: the extra otel"
DEVELOPMENT = "# Development"
"""The lock's headings of what not all users need."""
COMPILERS = "c++", "g++", "clang++"
COMPILED = "llama-cpp-python"
CPU = "cpu"
BUILT = ".llama.json"
"""In the virtual environment: what llama-cpp-python was compiled for."""
UNFINISHED = ""
"""In place of a requirement: this build was begun and has not been finished."""
STEP = re.compile(r"\[(\d+)/(\d+)\]")
WORTH_SAYING = re.compile(r"error|Successfully installed|Downloading|Building wheel", re.IGNORECASE)
FIRST_GUESS_S = 30.0
"""The time left is not shown before that."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A build of llama-cpp-python.

    Args:
        requirement: `name==version`, or `UNFINISHED`.
        kind: `cpu`, or a kind of GPU.
        architectures: of CUDA, as CMake names them.
        cmake_args: from the environment variable `CMAKE_ARGS`.
    """

    requirement: str
    kind: str
    architectures: str = ""
    cmake_args: str = ""


def main() -> None:
    if sys.version_info < (3, 11):  # noqa: UP036 - may run on any Python
        sys.exit(f"palaver: Python 3.11 or newer is needed; this is {sys.version.split()[0]}")
    if not any(map(which, COMPILERS)):
        sys.exit("palaver: a C++ compiler is needed to build llama-cpp-python (g++ or clang++)")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    more = parser.add_mutually_exclusive_group()
    more.add_argument("--otel", action="store_true")
    more.add_argument("--dev", action="store_true")
    options = parser.parse_args()
    venv = options.folder.absolute()
    python = venv / "bin" / "python"
    pip = [str(python), "-m", "pip", "--disable-pip-version-check"]
    if options.otel:
        say("installing OpenTelemetry")
        install_locked(venv, pip, entries(OTEL))
    elif options.dev:
        say("installing the test and lint tools")
        install_locked(venv, pip, entries(OTEL) + entries(DEVELOPMENT))
    else:
        install_runtime(options.folder, venv, pip)
        say(f"installed; llama.cpp {describe(python)}")


def install_runtime(folder: Path, venv: Path, pip: list[str]) -> None:
    """All that a user needs, Palaver itself included."""
    if not (venv / "bin" / "python").exists():
        say(f"creating {folder}")
        run([sys.executable, "-m", "venv", str(venv)])
    before = built(venv, pip)
    wanted = wanted_build(before)
    if before != wanted or not loads(venv, venv / "bin" / "python"):
        compile_llama(venv, pip, wanted)
    say("installing the other dependencies")
    others = [entry for entry in entries() if not entry.startswith(f"{COMPILED}==")]
    install_locked(venv, pip, others)
    # Palaver's own name in environments that were made before it had another one.
    run([*pip, "uninstall", "-qq", "--yes", "palaver"])
    install_palaver(pip)


def install_palaver(pip: list[str]) -> None:
    """From here, with what draws tokens compiled for it; setuptools goes on where that fails."""
    drawing = ROOT / "worker" / "engine"
    for old in drawing.glob("_drawing.*so"):
        old.unlink()
    configured = shlex.split(sysconfig.get_config_var("CXX") or "c++")[0]
    there = next(filter(which, (configured, *COMPILERS)), configured)
    environ = os.environ if there == configured else {"CXX": there} | os.environ
    run([*pip, "install", "-q", "--no-deps", "-e", str(ROOT)], environ)
    if not any(drawing.glob("_drawing.*so")):
        say("drawing.cpp could not be compiled: drawing tokens takes longer without it")


def install_locked(venv: Path, pip: list[str], locked: list[str]) -> None:
    """Install entries of the lock and nothing else; a file with another hash ends it."""
    requirements = write_requirements(venv, locked)
    run([*pip, "install", "-q", "--no-deps", "--require-hashes", "-r", str(requirements)])


def write_requirements(venv: Path, locked: list[str]) -> Path:
    path = venv / ".requirements.txt"
    path.write_text("".join(locked), encoding="utf-8")
    return path


def entries(heading: str = "") -> list[str]:
    """A package's lines each: of what every user needs, or of what stands below a heading."""
    parts = re.split(f"^({OTEL}|{DEVELOPMENT})$", LOCK.read_text(encoding="utf-8"), flags=re.M)
    part = parts[parts.index(heading) + 1] if heading else parts[0]
    return re.findall(r"^\S+==.*\n(?: .*\n)*", part, re.MULTILINE)


def wanted_build(before: Wanted | None) -> Wanted:
    """The build that the environment variables name, by default the one that is installed.

    Exits if the kind is unknown.
    """
    requirement = pinned(COMPILED)
    kind, cmake_args = os.environ.get("GPU", "").lower(), os.environ.get("CMAKE_ARGS", "").strip()
    if not kind and not cmake_args and before is not None:
        return Wanted(**{**asdict(before), "requirement": requirement})
    kind = kind or CPU
    if kind not in (CPU, *KINDS):
        sys.exit(f"palaver: GPU={kind}: allowed are {', '.join((CPU, *KINDS))}")
    return Wanted(
        requirement=requirement,
        kind=kind,
        architectures=architectures() if kind == "cuda" else "",
        cmake_args=cmake_args,
    )


def architectures() -> str:
    chosen = os.environ.get("PALAVER_CUDA_ARCHITECTURES", "").replace(",", ";").replace(" ", "")
    return chosen or cuda_architectures()


def pinned(package: str) -> str:
    """`name==version` of a package in the lock."""
    return entry_of(package).split()[0]


def entry_of(package: str) -> str:
    return next(entry for entry in entries() if entry.startswith(f"{package}=="))


def built(venv: Path, pip: list[str]) -> Wanted | None:
    """The build that is installed, if there is one."""
    name, _ = pinned(COMPILED).split("==")
    shown = subprocess.run([*pip, "show", name], capture_output=True, text=True, check=False)
    version = re.search(r"^Version: (\S+)$", shown.stdout, re.MULTILINE)
    requirement = f"{name}=={version[1]}" if version is not None else UNFINISHED
    try:
        record = Wanted(**json.loads((venv / BUILT).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        if version is None:
            return None
        # Compiled before there were records, or by hand: it is taken for what it is.
        return Wanted(requirement=requirement, kind=gpu_libraries(venv) or CPU)
    is_finished = record.requirement != UNFINISHED
    return replace(record, requirement=requirement if is_finished else UNFINISHED)


def loads(venv: Path, python: Path) -> bool:
    """Whether the library can be loaded; what a build needs may have been removed.

    The bindings are not tried: they need packages that may not be installed yet.
    """
    libraries = venv.glob("lib/python*/site-packages/llama_cpp/lib/libllama.*")
    code = "import ctypes, sys; ctypes.CDLL(sys.argv[1])"
    command = [str(python), "-c", code, *map(str, sorted(libraries)[:1])]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def gpu_libraries(venv: Path) -> str | None:
    """The kind of GPU that the installed libraries are for; macOS's Metal is always there."""
    names = [path.name for path in venv.glob("lib/python*/site-packages/llama_cpp/lib/*ggml-*")]
    kinds = (kind for kind in KINDS if kind != "metal")
    return next((kind for kind in kinds if any(kind in name for name in names)), None)


def compile_llama(venv: Path, pip: list[str], wanted: Wanted) -> None:
    """Compile and install it, and record what it was compiled for."""
    # The next start then knows that this build was interrupted.
    write_record(venv, replace(wanted, requirement=UNFINISHED))
    requirements = str(write_requirements(venv, [entry_of(COMPILED)]))
    command = [*pip, "install", "-v", "--no-deps", "--force-reinstall", "--require-hashes"]
    command += ["-r", requirements]
    uncached = [*command, "--no-cache-dir", "--no-binary", COMPILED]
    if wanted.kind == CPU and not wanted.cmake_args:
        say(
            f"installing {wanted.requirement}: it is compiled for this machine, "
            "five to ten minutes on two cores the first time"
        )
        compile_with_progress(command, os.environ)
        if gpu_libraries(venv) is not None:
            say("pip had a build for a GPU in its cache: compiling again")
            compile_with_progress(uncached, os.environ)
    else:
        major, minor = sys.version_info[:2]
        site = venv / "lib" / f"python{major}.{minor}" / "site-packages"
        build = build_of(wanted, site / "nvidia" / "cu13" / "lib")
        say(f"compiling {wanted.requirement} for {build.title}")
        arguments = f"{shlex.join(build.cmake_args)} {wanted.cmake_args}"
        compile_with_progress(uncached, os.environ | {"CMAKE_ARGS": arguments})
        if build.runtime:
            say(f"installing {' and '.join(build.runtime)}, which it needs to run")
            run([*pip, "install", "-q", "--no-deps", *build.runtime])
    write_record(venv, wanted)


def write_record(venv: Path, record: Wanted) -> None:
    (venv / BUILT).write_text(json.dumps(asdict(record)), encoding="utf-8")


def build_of(wanted: Wanted, runtime_folder: Path) -> Build:
    if wanted.kind == CPU:
        return Build(cmake_args=(), title=f"what CMAKE_ARGS says ({wanted.cmake_args})")
    return gpu_build(wanted.kind, wanted.architectures, runtime_folder)


def describe(python: Path) -> str:
    """What was built and which devices it can use, in one line."""
    command = [str(python), "-m", "worker.engine.devices"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if shown.returncode != 0:
        reason = (shown.stderr.strip().splitlines() or ["it does not start"])[-1]
        sys.exit(f"palaver: llama.cpp was built, but cannot be loaded: {reason}")
    return shown.stdout.strip()


def compile_with_progress(command: list[str], environ: Mapping[str, str]) -> None:
    """Run pip and show the progress of the compiler; if it fails, its last lines."""
    started = time.monotonic()
    process = subprocess.Popen(
        command,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
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
    began: float | None = None
    for line in lines:
        last.append(line)
        del last[:-40]
        step = STEP.search(line)
        if step is None:
            if WORTH_SAYING.search(line) and len(line) < 200 and "/" not in line:
                yield line.strip()
            continue
        began = began or time.monotonic()
        done, total = int(step[1]), int(step[2])
        percent = 100 * done // max(1, total)
        if sys.stdout.isatty() or percent >= shown_percent + 10 or done == total:
            shown_percent = percent
            left = time_left(time.monotonic() - began, done, total)
            yield f"compiling llama.cpp: {done} of {total} ({percent} %){left}"


def time_left(passed_s: float, done: int, total: int) -> str:
    """The time left at the average pace until now; empty while that is unknown."""
    if passed_s < FIRST_GUESS_S or not 0 < done < total:
        return ""
    minutes = passed_s * (total - done) / done / 60
    return f", about {minutes:.0f} minutes left" if minutes >= 1 else ", less than a minute left"


def show(text: str) -> None:
    if sys.stdout.isatty():
        print(f"\r\x1b[K{text[:100]}", end="", flush=True)
    else:
        print(text, flush=True)


def say(text: str) -> None:
    print(f"palaver: {text}", flush=True)


def run(command: list[str], environ: Mapping[str, str] | None = None) -> None:
    if subprocess.run(command, env=environ, check=False).returncode != 0:
        sys.exit(f"palaver: failed: {' '.join(command)}")


if __name__ == "__main__":
    main()
