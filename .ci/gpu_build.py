"""How llama.cpp is built for a kind of GPU: `gpu_build.py cuda|vulkan|hip|metal` prints JSON.

For CUDA the toolkit of this machine is used; where there is none, NVIDIA's compiler and libraries
are installed from PyPI into a folder of their own. Runs on a bare Python ≥ 3.11.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLKIT = ROOT / "build" / "cuda"
KINDS = {
    "cuda": ["-DGGML_CUDA=ON"],
    "vulkan": ["-DGGML_VULKAN=ON"],
    "hip": ["-DGGML_HIP=ON"],
    "metal": ["-DGGML_METAL=ON"],
}
RUNTIME_WHEELS = ("nvidia-cuda-runtime==13.0.96", "nvidia-cublas==13.0.2.14")
"""What a CUDA build needs to run, beside the driver."""
WHEELS = (
    "nvidia-cuda-nvcc==13.0.88",
    "nvidia-nvvm==13.0.88",
    "nvidia-cuda-crt==13.0.88",
    "nvidia-cuda-cccl==13.0.85",
    *RUNTIME_WHEELS,
)
"""What it needs to be compiled, 838 MB unpacked: one series, whose parts belong together."""
LINKED = ("cudart", "cublas", "cublasLt")
LEAST_CAPABILITY = 50


@dataclass(frozen=True, kw_only=True)
class Build:
    """How CMake is called for a kind of GPU.

    Args:
        cmake_args: its arguments.
        title: what is built, for people.
        runtime: requirements of what the build needs to run, where PyPI's toolkit is used.
    """

    cmake_args: Sequence[str]
    title: str
    runtime: Sequence[str] = ()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--architectures", help="instead of those of this machine's GPUs")
    options = parser.parse_args()
    print(json.dumps(asdict(gpu_build(options.kind, options.architectures))))


def gpu_build(kind: str, architectures: str | None, runtime_folder: Path | None = None) -> Build:
    """How to build for a kind of GPU.

    Args:
        kind: a key of `KINDS`.
        architectures: for CUDA, as CMake names them; None for those of this machine's GPUs.
        runtime_folder: where the libraries of `runtime` will be installed.
    """
    if kind == "cuda":
        return cuda_build(architectures or cuda_architectures(), runtime_folder)
    return Build(cmake_args=KINDS[kind], title=kind)


def cuda_build(architectures: str, runtime_folder: Path | None) -> Build:
    """For CUDA, with the installed compiler or the one from PyPI."""
    installed = installed_toolkit()
    root = installed or packaged_toolkit()
    compiler = root / "bin" / "nvcc"
    arguments = [
        *KINDS["cuda"],
        f"-DCUDAToolkit_ROOT={root}",
        f"-DCMAKE_CUDA_COMPILER={compiler}",
        f"-DCMAKE_CUDA_ARCHITECTURES={architectures}",
    ]
    if installed is None:
        # The linker does not look for libraries' libraries beside those.
        arguments.append(f"-DCMAKE_EXE_LINKER_FLAGS=-Wl,-rpath-link,{root / 'lib'}")
    if installed is None and runtime_folder is not None:
        arguments.append(f"-DCMAKE_SHARED_LINKER_FLAGS=-Wl,-rpath,{runtime_folder}")
    if not (root / "lib64" / "stubs" / "libcuda.so").exists():
        # Linking would need the driver's library, which is where a GPU is.
        arguments.append("-DGGML_CUDA_NO_VMM=ON")
    return Build(
        cmake_args=arguments,
        title=f"CUDA {compiler_version(compiler)}, architectures {architectures}",
        runtime=() if installed else RUNTIME_WHEELS,
    )


def installed_toolkit() -> Path | None:
    """The folder of a CUDA toolkit with everything that a build needs."""
    for nvcc in (os.environ.get("CUDACXX"), shutil.which("nvcc"), "/usr/local/cuda/bin/nvcc"):
        if nvcc and Path(nvcc).exists():
            root = Path(nvcc).resolve().parent.parent
            if (root / "include" / "cublas_v2.h").exists():
                return root
            say(f"{root} has no cuBLAS; it is not used")
    return None


def packaged_toolkit() -> Path:
    """NVIDIA's toolkit from PyPI, in a folder that may be deleted after the build."""
    [root] = [*TOOLKIT.glob("lib/python*/site-packages/nvidia/cu13")] or [None]
    if root is None or not (root / "lib64").exists():
        say(f"no CUDA compiler here: installing NVIDIA's from PyPI into {TOOLKIT} (838 MB)")
        run([sys.executable, "-m", "venv", "--clear", str(TOOLKIT)])
        pip = [str(TOOLKIT / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
        run([*pip, "install", "-q", "--no-deps", *WHEELS])
        [root] = TOOLKIT.glob("lib/python*/site-packages/nvidia/cu13")
        add_links(root)
    return root


def add_links(root: Path) -> None:
    """What CMake looks for and the wheels lack."""
    for name in LINKED:
        link = root / "lib" / f"lib{name}.so"
        if not link.exists():
            [library] = (root / "lib").glob(f"lib{name}.so.*")
            link.symlink_to(library.name)
    (root / "lib64").symlink_to("lib")


def cuda_architectures() -> str:
    """The compute capabilities of this machine's GPUs, as CMake names them.

    Exits if there are none.
    """
    query = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]
    try:
        shown = subprocess.run(query, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        shown = ""
    numbers = {line.strip().replace(".", "") for line in shown.splitlines()}
    usable = sorted(n for n in numbers if n.isdigit() and int(n) >= LEAST_CAPABILITY)
    if not usable:
        sys.exit(
            "palaver: nvidia-smi shows no GPU here; to build for another machine's, set "
            "PALAVER_CUDA_ARCHITECTURES (90 is an H100, 89 an RTX 4090, 120 an RTX 5090)"
        )
    return ";".join(usable)


def compiler_version(compiler: Path) -> str:
    shown = subprocess.run([str(compiler), "--version"], capture_output=True, text=True, check=True)
    release = re.search(r"release (\S+),", shown.stdout)
    return release[1] if release else "unknown"


def say(text: str) -> None:
    print(f"palaver: {text}", file=sys.stderr, flush=True)


def run(command: list[str]) -> None:
    if subprocess.run(command, stdout=sys.stderr, check=False).returncode != 0:
        sys.exit(f"palaver: failed: {' '.join(command)}")


if __name__ == "__main__":
    main()
