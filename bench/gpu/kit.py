"""The kit: a folder with all that a machine needs beside Python and numpy to run the bench.

`prepare` fills it, `run` unpacks it. This file needs nothing but the standard library: it runs
before anything is unpacked.
"""

import importlib.util
import os
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

BUILD: Final = "llama.tar.xz"
"""In `python/` the bindings, with the libraries where they look for them; in `bin/` the tools."""
LIBRARIES: Final = Path("python/llama_cpp/lib")
WHEELS: Final = "wheels"
VERSIONS: Final = "kit.json"
BATCHED_BENCH: Final = "llama-batched-bench"

_CUDA_FOLDERS: Final = (Path("/usr/local/cuda/lib64"), Path("/usr/local/cuda/lib"))
_RUNTIME_LIBRARIES: Final = ("libcudart.so.13", "libcublas.so.13", "libcublasLt.so.13")


@dataclass(frozen=True, kw_only=True)
class Unpacked:
    """An environment to run the bench in, and the tool that it compares with (if there is one)."""

    environment: dict[str, str]
    batched_bench: Path | None


def unpack(kit: Path, folder: Path) -> Unpacked:
    """Unpack a kit into an empty folder.

    Raises:
        OSError, tarfile.TarError, zipfile.BadZipFile: it is not whole.
    """
    with tarfile.open(kit / BUILD) as archive:
        archive.extractall(folder, filter="data")
    site = folder / "site"
    for wheel in sorted((kit / WHEELS).glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
    for binary in site.rglob("*"):
        if binary.is_file() and _is_executable(binary):
            binary.chmod(0o755)
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join([str(folder / "python"), str(site)])
    environment["LD_LIBRARY_PATH"] = os.pathsep.join(
        [
            str(folder / LIBRARIES),
            *map(str, cuda_folders()),
            environment.get("LD_LIBRARY_PATH", ""),
        ]
    )
    return Unpacked(environment=environment, batched_bench=folder / "bin" / BATCHED_BENCH)


def cuda_folders() -> list[Path]:
    """Where CUDA's runtime libraries lie: a toolkit's, or those that came with a Python package."""
    candidates = [*_packaged_cuda(), *_CUDA_FOLDERS]
    return [
        folder
        for folder in dict.fromkeys(candidates)
        if any((folder / name).exists() for name in _RUNTIME_LIBRARIES)
    ]


def _packaged_cuda() -> Iterator[Path]:
    spec = importlib.util.find_spec("nvidia")
    for root in (spec.submodule_search_locations or ()) if spec is not None else ():
        yield from sorted(Path(root).glob("*/lib"))
    for entry in sys.path:
        yield from sorted(Path(entry).glob("nvidia/*/lib"))


def _is_executable(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"
