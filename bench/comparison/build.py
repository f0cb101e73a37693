"""Builds what Palaver is compared with, once, under `build/`, from one source distribution.

llama-server comes from the llama.cpp sources inside llama-cpp-python's sdist, of the version that
Palaver runs on and with the options of that package's own build. llama-cpp-python's servers run in
a virtual environment that sees ours, and so the library compiled for it; what else they need is
installed there alone.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import time
from collections import deque
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
BUILD: Final = ROOT / "build" / "compare"
VENV: Final = BUILD / "venv"
PROGRESS_S: Final = 20.0

CMAKE_OPTIONS: Final = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DBUILD_SHARED_LIBS=ON",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_APP=OFF",
    "-DLLAMA_OPENSSL=OFF",
    # The web interface would be downloaded during the build.
    "-DLLAMA_BUILD_UI=OFF",
    "-DLLAMA_USE_PREBUILT_UI=OFF",
    # Otherwise asked of git, which would answer for the repository around the build folder.
    "-DLLAMA_BUILD_NUMBER=0",
    "-DLLAMA_BUILD_COMMIT=sdist",
    "-DGGML_BUILD_COMMIT=sdist",
)
TARGETS: Final = ("llama-server", "llama-batched-bench")
SERVER_PACKAGES: Final = (
    "fastapi", "openai", "safetensors", "sse-starlette", "starlette-context<0.4", "websockets"
)  # fmt: skip


@dataclass(frozen=True)
class Peers:
    """Where the peers' executables and sources are."""

    llama_server: Path
    python: Path
    batched_server: Path


def build_peers() -> Peers:
    """Build and install what is not there yet."""
    BUILD.mkdir(parents=True, exist_ok=True)
    sources = unpacked_sdist()
    peers = Peers(
        llama_server=BUILD / "llama.cpp-build" / "bin" / "llama-server",
        python=VENV / "bin" / "python",
        batched_server=sources / "examples" / "server" / "server.py",
    )
    if not (VENV / ".installed").exists():
        make_environment()
    if not peers.llama_server.exists():
        build_llama_server(sources / "vendor" / "llama.cpp", BUILD / "llama.cpp-build")
    return peers


def unpacked_sdist() -> Path:
    """The sources of the installed llama-cpp-python."""
    version = metadata.version("llama-cpp-python")
    sources = BUILD / f"llama_cpp_python-{version}"
    if not sources.exists():
        say(f"fetching the sources of llama-cpp-python {version}")
        download = ["download", "-q", "--no-deps", "--no-binary", "llama-cpp-python"]
        pip(*download, "-d", str(BUILD), f"llama-cpp-python=={version}")
        partial = BUILD / "partial"
        with tarfile.open(BUILD / f"{sources.name}.tar.gz") as archive:
            archive.extractall(partial, filter="data")
        (partial / sources.name).rename(sources)
    return sources


def build_llama_server(sources: Path, folder: Path) -> None:
    """About ten minutes on two cores."""
    options = [*CMAKE_OPTIONS, *shlex.split(os.environ.get("CMAKE_ARGS", ""))]
    cmake, jobs = shutil.which("cmake") or str(VENV / "bin" / "cmake"), str(os.cpu_count() or 1)
    run([cmake, "-S", str(sources), "-B", str(folder), *options])
    run([cmake, "--build", str(folder), "--parallel", jobs, "--target", *TARGETS])


def make_environment() -> None:
    """A virtual environment that sees ours as well; with cmake where the machine has none."""
    say("installing what llama-cpp-python's servers need")
    run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(VENV)])
    [folder] = VENV.glob("lib/python*/site-packages")
    (folder / "ours.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    packages = [*SERVER_PACKAGES, *([] if shutil.which("cmake") else ["cmake"])]
    # The lock's versions without its hashes: these packages are not in it.
    pins = re.findall(r"^\S+==\S+", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    (VENV / "pins.txt").write_text("\n".join(pins), encoding="utf-8")
    pip("--python", str(VENV), "install", "-c", str(VENV / "pins.txt"), *packages)
    (VENV / ".installed").touch()


def pip(*arguments: str) -> None:
    run([sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments])


def run(command: list[str], building: str = "llama-server") -> None:
    """Run a step of the build, with a line now and then that says how far it is.

    Args:
        building: what is built, for that line.

    Raises:
        SystemExit: it failed; its last lines are shown.
    """
    process = subprocess.Popen(
        ["nice", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    last: deque[str] = deque(maxlen=20)
    shown = time.monotonic()
    for line in process.stdout:
        last.append(line)
        if line.startswith("[") and time.monotonic() - shown > PROGRESS_S:
            shown = time.monotonic()
            say(f"building {building}: {line.partition(']')[0].strip('[ ')}")
    if process.wait() != 0:
        sys.exit("".join(last) + f"bench: failed: {shlex.join(command)}")


def say(text: str) -> None:
    """A line on how things go; results alone go to the standard output."""
    print(f"bench: {text}", file=sys.stderr, flush=True)
