"""The wheel alone, installed where nothing else of the repository is, serves and answers."""

import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

import orjson
import pytest

from tests.e2e.processes import ROOT, running_palaver, wait_until_gone
from tests.e2e.test_readme import commands, run

BUILD = "--no-deps", "--no-build-isolation", "--no-index"
"""What pip needs to make a wheel from these sources alone, without asking an index."""
SOURCES = "pyproject.toml", "MANIFEST.in", "Procfile", "README.md", "LICENSE", "NOTICE"
PACKAGES = "api", "cli", "shared", "worker"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a wheel is built from, without what was built or installed here before."""
    folder = tmp_path_factory.mktemp("sources")
    for name in SOURCES:
        shutil.copy(ROOT / name, folder)
    for name in PACKAGES:
        no_caches = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.so")
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=no_caches)
    return folder


@pytest.fixture(scope="module")
def palaver(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of an environment that has the wheel, and borrows what it depends on."""
    folder = tmp_path_factory.mktemp("installed")
    wheels, venv = folder / "wheels", folder / "venv"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run([*pip, "wheel", *BUILD, "-w", str(wheels), str(sources)], check=True)
    [wheel] = wheels.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    python = venv / "bin" / "python"
    command = [*pip, "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(command, check=True)
    [site] = venv.glob("lib/python3.*/site-packages")
    # A plain path: `.pth` files in there, the editable repository's among them, are not followed.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return venv / "bin" / "palaver"


def bare(**variables: str) -> dict[str, str]:
    """As a service manager starts a program: hardly any environment."""
    return {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8"} | variables


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A folder whose own `api` and `worker` have nothing to do with ours."""
    for name in ("api", "worker"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('not ours')")
    return tmp_path


def printed(palaver: Path, folder: Path, *arguments: str) -> str:
    return subprocess.run(
        [palaver, *arguments], cwd=folder, env=bare(), capture_output=True, text=True, check=True
    ).stdout


def test_the_wheel_is_what_runs(palaver: Path, empty: Path) -> None:
    code = "import api, cli, shared, worker; print(api.__file__, cli.__file__, worker.__file__)"
    shown = subprocess.run(
        [palaver.with_name("python"), "-P", "-c", code],
        cwd=empty, env=bare(), capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert all(path.startswith(str(palaver.parents[1])) for path in shown.split())
    assert printed(palaver, empty, "--version") == "palaver 0.1.0\n"


def test_the_wheel_draws_with_what_was_compiled(palaver: Path, empty: Path) -> None:
    code = (
        "from importlib.util import find_spec; from worker.engine.drawing import compiled; "
        "print(find_spec('worker.engine._drawing').origin, compiled())"
    )
    shown = subprocess.run(
        [palaver.with_name("python"), "-P", "-c", code],
        cwd=empty, env=bare(), capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert shown.startswith(str(palaver.parents[1]))
    assert "None" not in shown


def test_it_serves_the_dialogue_of_the_readme(palaver: Path, empty: Path) -> None:
    """Lua, pages and Procfile are in the wheel, and nothing is taken from where it is started."""
    with running_palaver(
        empty / "data", command=[str(palaver), "serve"], folder=empty, PATH="/usr/bin:/bin"
    ) as server:
        first, second = (
            orjson.loads(run(line.replace(":3000", f":{server.port}"), empty))
            for line in commands("README.md", "")
        )
        assert second["id"] == first["id"]
        assert second["window"]["turns_kept"] == 2
        with server.client() as client:
            for path in ("/", "/ops", "/docs"):
                page = client.get(path, headers={"Accept": "text/html"})
                files = re.findall(r'(?:src|href)="(/[^"]+\.(?:js|css|svg))"', page.text)
                assert len(files) > 2, path
                assert {client.get(file).status_code for file in files} == {200}
        assert printed(palaver, empty, "models", "--url", server.url).startswith("SmolLM2")
        pids = server.processes()
        server.signal(signal.SIGINT)
        server.wait()
        assert wait_until_gone(pids) == []
    assert {path.name for path in empty.iterdir()} == {"api", "worker", "data", "first.json"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "tcsh"])
def test_every_command_is_completed(palaver: Path, empty: Path, shell: str) -> None:
    script = printed(palaver, empty, "completion", shell)
    for word in ("serve", "chat", "requeue", "procfile"):
        assert word in script
