"""What CMake is told for a GPU, by scripted tools in place of NVIDIA's."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / ".ci" / "gpu_build.py"
NO_TOOLS = "/usr/bin:/bin"
NVCC = 'echo "Cuda compilation tools, release 12.9, V12.9.41"'


def tool(folder: Path, name: str, script: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def toolkit(folder: Path) -> Path:
    """A CUDA toolkit, as far as it is looked at."""
    (folder / "include").mkdir(parents=True)
    (folder / "include" / "cublas_v2.h").touch()
    (folder / "lib64" / "stubs").mkdir(parents=True)
    (folder / "lib64" / "stubs" / "libcuda.so").touch()
    return tool(folder, "bin/nvcc", NVCC)


def run(
    *arguments: str, path: str = NO_TOOLS, **variables: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *arguments]
    environ = {"PATH": path, **variables}
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


def loaded(name: str) -> ModuleType:
    """One of the scripts as a module."""
    sys.path.insert(0, str(SCRIPT.parent))
    try:
        spec = importlib.util.spec_from_file_location(name, SCRIPT.with_name(f"{name}.py"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(SCRIPT.parent))


def test_the_toolkit_that_is_there_builds_for_the_gpus_that_are_there(tmp_path: Path) -> None:
    compiler = toolkit(tmp_path / "cuda")
    tool(tmp_path / "bin", "nvidia-smi", "printf '8.6\\n9.0\\n8.6\\n'")
    path = f"{tmp_path / 'bin'}:{NO_TOOLS}"
    done = run("cuda", path=path, CUDACXX=str(compiler))
    told = json.loads(done.stdout)
    root = tmp_path / "cuda"
    assert told == {
        "cmake_args": [
            "-DGGML_CUDA=ON",
            f"-DCUDAToolkit_ROOT={root}",
            f"-DCMAKE_CUDA_COMPILER={compiler}",
            "-DCMAKE_CUDA_ARCHITECTURES=86;90",
        ],
        "title": "CUDA 12.9, architectures 86;90",
        "runtime": [],
    }


def test_without_the_drivers_stub_its_memory_pools_are_not_used(tmp_path: Path) -> None:
    compiler = toolkit(tmp_path)
    (tmp_path / "lib64" / "stubs" / "libcuda.so").unlink()
    done = run("cuda", "--architectures", "120", CUDACXX=str(compiler))
    told = json.loads(done.stdout)["cmake_args"]
    assert "-DGGML_CUDA_NO_VMM=ON" in told
    assert "-DCMAKE_CUDA_ARCHITECTURES=120" in told


@pytest.mark.parametrize("smi", ["exit 9", "echo '[N/A]'"])
def test_for_which_gpus_to_build_is_not_guessed(tmp_path: Path, smi: str) -> None:
    compiler = toolkit(tmp_path / "cuda")
    tool(tmp_path / "bin", "nvidia-smi", smi)
    done = run("cuda", path=f"{tmp_path / 'bin'}:{NO_TOOLS}", CUDACXX=str(compiler))
    assert done.returncode == 1
    assert "PALAVER_CUDA_ARCHITECTURES" in done.stderr


@pytest.mark.parametrize("kind", ["vulkan", "hip", "metal"])
def test_other_kinds_are_cmakes_business(kind: str) -> None:
    told = json.loads(run(kind).stdout)
    assert told["cmake_args"] == [f"-DGGML_{kind.upper()}=ON"]


def test_an_unknown_kind_is_refused() -> None:
    assert run("tpu").returncode == 2


def test_pypis_toolkit_gets_the_links_that_cmake_looks_for(tmp_path: Path) -> None:
    for name in ("cudart", "cublas", "cublasLt"):
        (tmp_path / "lib").mkdir(exist_ok=True)
        (tmp_path / "lib" / f"lib{name}.so.13").write_text(name)
    loaded("gpu_build").add_links(tmp_path)
    for name in ("cudart", "cublas", "cublasLt"):
        assert (tmp_path / "lib64" / f"lib{name}.so").read_text() == name


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, ("cuda", "86", "")),
        ({"GPU": "CPU"}, ("cpu", "", "")),
        ({"GPU": "vulkan", "CMAKE_ARGS": "-DX=1"}, ("vulkan", "", "-DX=1")),
        ({"CMAKE_ARGS": "-DGGML_BLAS=ON"}, ("cpu", "", "-DGGML_BLAS=ON")),
        ({"GPU": "cuda", "PALAVER_CUDA_ARCHITECTURES": "89, 90"}, ("cuda", "89;90", "")),
    ],
)
def test_a_build_stays_until_another_is_asked_for(
    variables: dict[str, str], expected: tuple[str, str, str]
) -> None:
    before = {"kind": "cuda", "architectures": "86", "requirement": "llama_cpp_python==0.1"}
    code = (
        "import sys, json; sys.path.insert(0, sys.argv[1]); import install as i; "
        "w = i.wanted_build(i.Wanted(**json.loads(sys.argv[2]))); "
        "print(json.dumps([w.requirement, w.kind, w.architectures, w.cmake_args]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(SCRIPT.parent), json.dumps(before)],
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    requirement, *rest = json.loads(done.stdout)
    assert requirement != before["requirement"], "the version is the pinned one"
    assert tuple(rest) == expected


@pytest.mark.parametrize(
    ("passed_s", "done", "left"),
    [(10.0, 50, ""), (60.0, 0, ""), (60.0, 100, ""), (600.0, 50, ", about 10 minutes left")],
)
def test_the_time_left_is_told_once_there_is_something_to_go_by(
    passed_s: float, done: int, left: str
) -> None:
    assert loaded("install").time_left(passed_s, done, 100) == left
