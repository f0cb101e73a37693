"""Which processor figures were measured on."""

import platform
from pathlib import Path


def cpu_model() -> str:
    """The maker's name where the system tells it (Linux), else the architecture."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
