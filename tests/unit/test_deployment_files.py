"""The files under `examples/deploy` are well-formed; settings, routes and metrics in them exist.

Nothing here runs a container, a cluster or systemd itself.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.routes import ROUTES
from shared.config import Settings
from shared.environment import NOT_SETTINGS
from shared.errors import EX_CONFIG
from tests.unit.test_operations import base, known

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples" / "deploy"
FILES = sorted(path for path in FOLDER.rglob("*") if path.is_file())
UNITS = sorted((FOLDER / "systemd").iterdir())
MANIFESTS = sorted((FOLDER / "kubernetes").glob("*.yaml"))
KUBERNETES = "1.33"
"""Whose schemas the manifests are held against."""


def resources() -> Iterator[dict[str, Any]]:
    for path in MANIFESTS:
        if path.name != "kustomization.yaml":
            yield from yaml.safe_load_all(path.read_text(encoding="utf-8"))


def containers(kind: str) -> Iterator[dict[str, Any]]:
    for resource in resources():
        if resource["kind"] == kind:
            yield from resource["spec"]["template"]["spec"]["containers"]


def named(text: str) -> set[str]:
    return set(re.findall(r"\b(?:PALAVER_[A-Z_]*[A-Z]|REDIS_URL)\b", text))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_setting_that_a_file_names_exists(path: Path) -> None:
    settings = {str(field.validation_alias.choices[0]) for field in Settings.model_fields.values()}  # type: ignore[union-attr]
    assert named(path.read_text(encoding="utf-8")) <= settings | NOT_SETTINGS


def test_the_dockerfile_passes_its_linter() -> None:
    linter = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if linter is None:
        pytest.skip("hadolint is not installed")
    subprocess.run([linter, FOLDER / "Dockerfile"], check=True)


def test_the_image_copies_what_it_needs_and_starts_modules_that_exist() -> None:
    text = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
    assert all((ROOT / name).exists() for line in copied for name in line.split())
    assert {"api", "cli", "shared", "worker", ".ci"} <= set(copied)
    assert re.search(r"^USER 10001$", text, re.MULTILINE)
    assert 'ENTRYPOINT ["tini", "--"]' in text
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", text, re.MULTILINE))
    assert {f"{step}-{gpu}" for step in ("build", "run") for gpu in ("cpu", "cuda")} <= stages


def test_compose_has_what_palaver_needs() -> None:
    document = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
    services = document["services"]
    assert set(services) == {"valkey", "api", "worker"}
    # Not reachable from elsewhere, as it is open.
    assert services["api"]["ports"] == ["127.0.0.1:3000:3000"]
    assert services["worker"]["command"] == ["python", "-m", "worker"]
    for name in ("api", "worker"):
        assert services[name]["environment"]["REDIS_URL"].startswith("redis://valkey:")
        assert services[name]["depends_on"]["valkey"]["condition"] == "service_healthy"
        build = FOLDER / services[name]["build"]["context"]
        assert (build / services[name]["build"]["dockerfile"]).exists()


@pytest.mark.parametrize("resource", [*resources()], ids=lambda one: one["metadata"]["name"])
def test_every_manifest_follows_the_schema(resource: dict[str, Any]) -> None:
    validator = pytest.importorskip(
        "kubernetes_validate", reason="kubernetes-validate is not installed"
    )
    validator.validate(resource, KUBERNETES, strict=True)


def test_probes_ask_for_routes_that_exist() -> None:
    paths = {route.path for route in ROUTES}
    (api,) = [one for one in containers("Deployment") if one["name"] == "api"]
    assert api["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert api["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert {"/healthz", "/readyz"} <= paths


def test_selectors_find_the_pods() -> None:
    all_of = list(resources())
    pods = [one["spec"]["template"]["metadata"]["labels"] for one in all_of
            if one["kind"] == "Deployment"]  # fmt: skip
    for resource in all_of:
        selector = resource["spec"].get("selector", {})
        wanted = selector.get("matchLabels", selector)
        if wanted:
            assert sum(wanted.items() <= labels.items() for labels in pods) == 1, resource["kind"]


def test_workers_scale_by_a_metric_that_exists() -> None:
    (scaler,) = [one for one in resources() if one["kind"] == "HorizontalPodAutoscaler"]
    names = {metric["external"]["metric"]["name"] for metric in scaler["spec"]["metrics"]}
    assert names <= {base(name) for name in known()}
    deployments = {one["metadata"]["name"] for one in resources() if one["kind"] == "Deployment"}
    assert scaler["spec"]["scaleTargetRef"]["name"] in deployments


def test_kustomize_puts_the_manifests_together() -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    built = subprocess.run(
        ["kubectl", "kustomize", FOLDER / "kubernetes"], capture_output=True, check=True, text=True
    ).stdout
    built_of = [*yaml.safe_load_all(built)]
    assert len(built_of) == len([*resources()])
    assert "image: registry.example/palaver:0.1.0-cuda" in built


def test_the_units_are_what_systemd_takes(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    for path in UNITS:
        # What it starts has to exist, and is not installed here.
        text = path.read_text(encoding="utf-8").replace(
            "/opt/palaver/.venv/bin/python", "/bin/true"
        )
        unit = tmp_path / path.name.replace("@.", "@0.")
        unit.write_text(text, encoding="utf-8")
        checked = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True
        )
        ours = [line for line in checked.stderr.splitlines() if "palaver" in line]
        assert (checked.returncode, ours) == (0, []), checked.stderr


def test_a_unit_with_a_mistake_would_be_noticed(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    unit = tmp_path / "palaver-wrong.service"
    unit.write_text("[Service]\nExecStart=/bin/true\nRestartt=always\n", encoding="utf-8")
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True
    )
    assert "Restartt" in checked.stderr


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_start_modules_that_exist_and_stay_down_when_told(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    (module,) = re.findall(r"^ExecStart=\S+ -m (\S+)", text, re.MULTILINE)
    place = ROOT.joinpath(*module.split("."))
    assert place.with_suffix(".py").exists() or (place / "__main__.py").exists()
    assert "Restart=on-failure\n" in text
    assert f"RestartPreventExitStatus={EX_CONFIG}\n" in text
