"""Light, dark or the system's: chosen in a browser, for all pages, before anything is painted."""

from typing import Any, Final

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from shared.config import Settings
from tests.scripted import ScriptedEngine
from tests.servers import running_stack
from tests.web.browser import open_tab
from tests.web.chat_page import ChatPage
from tests.web.test_looks import DESKTOP, PHONE, REPLIES

LIGHT: Final = "rgb(251, 250, 247)"
DARK: Final = "rgb(25, 26, 28)"


async def choose(page: Page, theme: str) -> None:
    await page.get_by_label("Theme").select_option(theme)


async def colour(page: Page, selector: str = "body", of: str = "backgroundColor") -> str:
    script = f"getComputedStyle(document.querySelector({selector!r})).{of}"
    value: str = await page.evaluate(script)
    return value


async def bars(page: Page) -> str:
    """The colour that the browser gives its own bars."""
    script = """Array.from(document.querySelectorAll("meta[name=theme-color]"))
      .find((meta) => matchMedia(meta.media).matches).content"""
    value: str = await page.evaluate(script)
    return value


async def test_the_choice_wins_over_the_system_on_every_page(
    browser: Browser, settings: Settings
) -> None:
    context = await browser.new_context(**DESKTOP, color_scheme="light")
    async with (
        running_stack(settings, ScriptedEngine()) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        assert await colour(tab.page) == LIGHT
        await choose(tab.page, "dark")
        assert (await colour(tab.page), await bars(tab.page)) == (DARK, "#191a1c")
        for path in ("/docs", "/ops", "/"):
            await tab.page.goto(f"{stack.client.base_url}{path}")
            assert await colour(tab.page) == DARK
        await expect(tab.page.get_by_label("Theme")).to_have_value("dark")
        await tab.page.emulate_media(media="print")
        assert await colour(tab.page, of="color") == "rgb(0, 0, 0)"
        assert await colour(tab.page, ":root", "colorScheme") == "light"
        await tab.page.emulate_media(media="screen")
        await choose(tab.page, "system")
        assert (await colour(tab.page), await bars(tab.page)) == (LIGHT, "#fbfaf7")
        await tab.page.emulate_media(color_scheme="dark")
        assert (await colour(tab.page), await bars(tab.page)) == (DARK, "#191a1c")
        await choose(tab.page, "light")
        assert (await colour(tab.page), await bars(tab.page)) == (LIGHT, "#fbfaf7")
    await context.close()


async def test_it_is_applied_before_there_is_anything_to_paint(
    context: BrowserContext, settings: Settings
) -> None:
    at_first = """new MutationObserver((_, observer) => {
      if (document.body === null) return;
      window.themeAtFirst = document.documentElement.dataset.theme;
      observer.disconnect();
    }).observe(document, { childList: true, subtree: true });"""
    async with (
        running_stack(settings, ScriptedEngine()) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        await choose(tab.page, "dark")
        await tab.page.add_init_script(at_first)
        for path in ("/", "/docs", "/ops"):
            await tab.page.goto(f"{stack.client.base_url}{path}")
            assert await tab.page.evaluate("window.themeAtFirst") == "dark"


async def test_other_tabs_follow(context: BrowserContext, settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        url = str(stack.client.base_url)
        async with open_tab(context, url) as one, open_tab(context, url) as other:
            await choose(one.page, "dark")
            await expect(other.page.locator("html")).to_have_attribute("data-theme", "dark")
            await expect(other.page.get_by_label("Theme")).to_have_value("dark")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_everybody_can_read_either(
    browser: Browser, settings: Settings, device: dict[str, Any], theme: str
) -> None:
    system = "light" if theme == "dark" else "dark"
    context = await browser.new_context(**device | {"color_scheme": system})
    engine = ScriptedEngine(lambda _: REPLIES["How do I remember a list in Python?"])
    async with (
        running_stack(settings, engine) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        await tab.page.evaluate("theme => localStorage.setItem('palaver.theme', theme)", theme)
        await tab.page.reload()
        chat = ChatPage(tab.page)
        await chat.answer("How do I remember a list in Python?")
        await expect(tab.page.locator(".text .string").first).to_be_visible()
        assert await colour(tab.page) == (DARK if theme == "dark" else LIGHT)
        strings = await colour(tab.page, ".text .string", "color")
        assert strings == ("rgb(155, 214, 138)" if theme == "dark" else "rgb(29, 107, 29)")
        assert await tab.serious() == []
        if device is PHONE:
            await tab.page.get_by_role("button", name="Chats").tap()
            await expect(tab.page.get_by_label("Theme")).to_be_in_viewport()
            assert await tab.serious() == []
    await context.close()
