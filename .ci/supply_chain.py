"""What users install, for programs: `supply_chain.py sbom FILE`, `supply_chain.py audit`.

`sbom` writes a CycloneDX bill of materials of what the lock has for users, traces included: every
package with its version and the hashes of its files. `audit` asks PyPI's vulnerability service
about the same packages; if it cannot be reached, or does not know one of them, this says so and
exits with 75.

The tools are installed into `build/supply-chain`, apart from what they look at.
"""

import argparse
import json
import subprocess
import sys
import tomllib
from pathlib import Path

from install import OTEL, ROOT, entries

VENV = ROOT / "build" / "supply-chain"
GROUP = "supply-chain"
NOT_CHECKED = 75
"""Exit status (EX_TEMPFAIL): nothing is known to be wrong, and something could not be asked."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("sbom").add_argument("file", type=Path)
    commands.add_parser("audit")
    options = parser.parse_args()
    install_tools()
    requirements = VENV / "requirements.txt"
    requirements.write_text("".join(locked()), encoding="utf-8")
    if options.command == "sbom":
        write_sbom(requirements, options.file)
    else:
        sys.exit(audit(requirements))


def locked() -> list[str]:
    """A package's lines each."""
    return entries() + entries(OTEL)


def install_tools() -> None:
    """Into an environment of their own, once."""
    if not (VENV / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    tools = project["dependency-groups"][GROUP]
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "-q", *tools], check=True)


def write_sbom(requirements: Path, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    command = [str(VENV / "bin" / "cyclonedx-py"), "requirements", str(requirements)]
    command += ["--pyproject", str(ROOT / "pyproject.toml"), "--output-reproducible"]
    subprocess.run([*command, "--output-file", str(file)], check=True)
    print(f"{file}: {len(locked())} packages")


def audit(requirements: Path) -> int:
    """Print what is known of the packages; returns the exit status.

    0 only if all of them were looked up, and nothing is known of any.
    """
    command = [str(VENV / "bin" / "pip-audit"), "--requirement", str(requirements)]
    command += ["--require-hashes", "--disable-pip", "--format", "json"]
    command += ["--progress-spinner", "off"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        packages = json.loads(run.stdout)["dependencies"]
    except (ValueError, KeyError):
        print(run.stderr, "Nothing was checked.", sep="", file=sys.stderr)
        return NOT_CHECKED
    flaws = [(package, flaw) for package in packages for flaw in package.get("vulns", ())]
    for package, flaw in flaws:
        fixed = ", ".join(flaw["fix_versions"]) or "no version"
        print(f"{package['name']} {package['version']}: {flaw['id']}, fixed in {fixed}")
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    print(f"{len(packages) - len(skipped)} packages checked, {len(flaws)} flaws known")
    if skipped:
        print(f"not known to the service, so not checked: {', '.join(skipped)}")
    return 1 if flaws else NOT_CHECKED if skipped else 0


if __name__ == "__main__":
    main()
