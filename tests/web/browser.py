"""Debian's Chromium without a window, driven by Playwright."""

import importlib.resources
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--lang=en-US")
"""English, because tests read the page; a test of another language says which."""
PATIENCE_MS = 30_000
expect.set_options(timeout=PATIENCE_MS)


def chromium() -> str:
    """Its path; skips the test where it is not installed."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    pytest.skip("Chromium is not installed")


@asynccontextmanager
async def running_browser() -> AsyncIterator[Browser]:
    path = chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(OPTIONS))
        try:
            yield browser
        finally:
            await browser.close()


class Tab:
    """A page, and whatever it complained about.

    Args:
        page: of Playwright's.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self._heard(message.type, message.text))

    def _heard(self, kind: str, text: str) -> None:
        # That a request failed is part of what is tested; the page deals with it.
        if kind in ("error", "warning") and not text.startswith("Failed to load resource"):
            self.complaints.append(text)

    async def serious(self) -> list[str]:
        """What axe-core finds wrong for people who cannot see or use a mouse: serious or worse."""
        source = importlib.resources.files("axe_playwright_python") / "axe.min.js"
        await self.page.evaluate(source.read_text(encoding="utf-8"))
        found: Any = await self.page.evaluate("axe.run()")
        return [
            f"{one['id']}: {one['help']}: {[node['html'] for node in one['nodes']]}"
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
        ]


@asynccontextmanager
async def open_tab(context: BrowserContext, url: str) -> AsyncIterator[Tab]:
    """A page that must not complain."""
    tab = Tab(await context.new_page())
    tab.page.set_default_timeout(PATIENCE_MS)
    try:
        await tab.page.goto(url)
        yield tab
        assert tab.complaints == []
    finally:
        await tab.page.close()
