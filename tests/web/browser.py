"""Debian's Chromium without a window."""

import shutil
import subprocess
import tempfile

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
LIMIT_S = 60


def chromium() -> str:
    """Its path; skips the test where it is not installed."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    pytest.skip("Chromium is not installed")


def rendered(url: str, *, wait_ms: int = 4000) -> str:
    """What a page looks like, as HTML, after its scripts have run for a while."""
    with tempfile.TemporaryDirectory(prefix="palaver-chromium-") as profile:
        command = [chromium(), "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom"]
        command += ["--no-first-run", "--disable-dev-shm-usage", f"--user-data-dir={profile}"]
        command += [f"--virtual-time-budget={wait_ms}", url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=True)
    return done.stdout
