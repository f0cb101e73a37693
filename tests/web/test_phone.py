"""The chat page under fingers: drawer, keyboard, sizes, and how it is installed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Browser, Locator, expect

from shared.config import Settings
from tests.scripted import ScriptedEngine
from tests.servers import Stack, running_stack
from tests.web.browser import Tab, open_tab
from tests.web.chat_page import ChatPage
from tests.web.test_looks import DESKTOP, PHONE

SMALLEST: dict[str, Any] = PHONE | {"viewport": {"width": 320, "height": 568}}
LARGEST: dict[str, Any] = {"viewport": {"width": 3840, "height": 2160}}
FINGER_PX = 44
TARGETS = "button, select, summary, textarea, .sidebar-foot a"
LONG_NAME = "A-Model-With-A-Very-Long-Name-That-Does-Not-Fit-On-Any-Phone-Q4_K_M.with-a-suffix"


@asynccontextmanager
async def opened(
    browser: Browser,
    settings: Settings,
    device: dict[str, Any],
    name: str = "scripted",
    engine: ScriptedEngine | None = None,
) -> AsyncIterator[tuple[Tab, Stack]]:
    context = await browser.new_context(**device)
    async with running_stack(settings, engine or ScriptedEngine(name=name)) as stack:
        async with open_tab(context, str(stack.client.base_url)) as tab:
            await expect(tab.page.locator("#model")).to_contain_text(name)
            yield tab, stack
        await context.close()


def drawer(tab: Tab) -> Locator:
    return tab.page.get_by_role("navigation", name="Conversations")


async def open_drawer(tab: Tab) -> None:
    await tab.page.get_by_role("button", name="Chats").tap()
    await expect(drawer(tab)).to_be_visible()


async def sticks_out(tab: Tab) -> int:
    width: int = await tab.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return width


async def too_small(tab: Tab) -> list[str]:
    """What can be tapped and is narrower or lower than a finger."""
    found: list[str] = await tab.page.evaluate(
        """([selector, least]) => Array.from(document.querySelectorAll(selector))
          .filter((node) => node.checkVisibility())
          .filter((node) => {
            const { width, height } = node.getBoundingClientRect();
            return Math.min(width, height) < least;
          })
          .map((node) => node.outerHTML)""",
        [TARGETS, FINGER_PX],
    )
    return found


async def test_the_drawer_closes_by_tap_by_escape_and_by_back(
    browser: Browser, settings: Settings
) -> None:
    async with opened(browser, settings, PHONE) as (tab, _):
        chat = ChatPage(tab.page)
        await chat.answer("Hello.")
        address = tab.page.url

        await open_drawer(tab)
        assert await tab.serious() == []
        await tab.page.touchscreen.tap(380, 400)
        await expect(drawer(tab)).to_be_hidden()

        await open_drawer(tab)
        await tab.page.keyboard.press("Escape")
        await expect(drawer(tab)).to_be_hidden()
        await expect(tab.page.get_by_role("button", name="Chats")).to_be_focused()

        await open_drawer(tab)
        await tab.page.get_by_role("button", name="Close the list").tap()
        await expect(drawer(tab)).to_be_hidden()

        await open_drawer(tab)
        await tab.page.go_back()
        await expect(drawer(tab)).to_be_hidden()
        assert tab.page.url == address
        await expect(chat.users).to_have_text(["Hello."])


async def test_back_after_a_choice_in_the_drawer_leads_to_the_conversation_before(
    browser: Browser, settings: Settings
) -> None:
    async with opened(browser, settings, PHONE) as (tab, _):
        chat = ChatPage(tab.page)
        await chat.answer("First.")
        await open_drawer(tab)
        await tab.page.get_by_role("button", name="New chat").tap()
        await expect(drawer(tab)).to_be_hidden()
        await chat.answer("Second.")
        await tab.page.go_back()
        await expect(chat.users).to_have_text(["First."])
        await expect(drawer(tab)).to_be_hidden()


async def test_nothing_behind_the_drawer_gets_the_focus(
    browser: Browser, settings: Settings
) -> None:
    async with opened(browser, settings, PHONE) as (tab, _):
        await open_drawer(tab)
        for _ in range(8):
            await tab.page.keyboard.press("Tab")
            where = "document.activeElement.closest('main, .skip') === null"
            assert await tab.page.evaluate(where)
        # A phone that is turned has room for both.
        await tab.page.set_viewport_size({"width": 844, "height": 390})
        await ChatPage(tab.page).answer("Hello.")


async def test_enter_begins_a_line_under_fingers_and_sends_elsewhere(
    browser: Browser, settings: Settings
) -> None:
    async with opened(browser, settings, PHONE) as (tab, _):
        chat = ChatPage(tab.page)
        await chat.prompt.tap()
        await tab.page.keyboard.type("One.")
        await tab.page.keyboard.press("Enter")
        await tab.page.keyboard.type("Two.")
        await expect(chat.prompt).to_have_value("One.\nTwo.")
        await expect(chat.prompt).to_have_attribute("enterkeyhint", "enter")
        await chat.send.tap()
        await expect(chat.users).to_have_text(["One.\nTwo."])
        await expect(chat.prompt).not_to_be_focused()
        await chat.until_idle()
        # Some have a keyboard with keys.
        await chat.prompt.fill("Three.")
        await chat.prompt.press("Control+Enter")
        await expect(chat.users).to_have_text(["One.\nTwo.", "Three."])
    async with opened(browser, settings, DESKTOP) as (tab, _):
        chat = ChatPage(tab.page)
        await chat.prompt.fill("One.")
        await chat.prompt.press("Shift+Enter")
        await expect(chat.prompt).to_have_value("One.\n")
        await chat.prompt.press("Enter")
        await expect(chat.users).to_have_text(["One."])
        await expect(chat.prompt).to_be_focused()


async def test_stopping_a_reply_brings_no_keyboard_up(browser: Browser, settings: Settings) -> None:
    held: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    engine = ScriptedEngine(piece_length=4, step=lambda given: held if given else None)
    async with opened(browser, settings, PHONE, engine=engine) as (tab, _):
        chat = ChatPage(tab.page)
        await chat.ask("Hello.")
        await expect(chat.replies.last).not_to_have_text("")
        await chat.stop.tap()
        await chat.until_idle()
        await expect(chat.last_reply).to_contain_text("Stopped.")
        await expect(chat.prompt).not_to_be_focused()
        held.set_result(None)


@pytest.mark.parametrize("device", [SMALLEST, PHONE], ids=["320", "390"])
async def test_everything_is_in_one_row_and_large_enough(
    browser: Browser, settings: Settings, device: dict[str, Any]
) -> None:
    async with opened(browser, settings, device, LONG_NAME) as (tab, _):
        chat = ChatPage(tab.page)
        assert await sticks_out(tab) <= 0
        assert await too_small(tab) == []
        await chat.answer("A title that is longer than a phone is wide. " * 5)
        head = await tab.page.locator("main > header").bounding_box()
        assert head is not None
        assert head["height"] <= FINGER_PX + 16
        assert await too_small(tab) == []
        await tab.page.get_by_role("button", name="More").tap()
        await expect(tab.page.get_by_role("button", name="Export JSON")).to_be_in_viewport()
        assert await too_small(tab) == []
        assert await tab.serious() == []
        await tab.page.keyboard.press("Escape")
        await expect(tab.page.get_by_role("button", name="Export JSON")).to_be_hidden()
        await open_drawer(tab)
        assert await too_small(tab) == []
        assert await sticks_out(tab) <= 0


async def test_a_large_screen_has_larger_letters(browser: Browser, settings: Settings) -> None:
    async with opened(browser, settings, LARGEST) as (tab, _):
        await ChatPage(tab.page).answer("Hello.")
        assert await sticks_out(tab) <= 0
        size = "getComputedStyle(document.querySelector('.message .text')).fontSize"
        assert await tab.page.evaluate(size) == "20px"


async def test_the_newest_words_stay_above_the_keyboard(
    browser: Browser, settings: Settings
) -> None:
    async with opened(browser, settings, SMALLEST) as (tab, _):
        chat = ChatPage(tab.page)
        for number in range(4):
            await chat.answer(f"Number {number}. " + "Words. " * 40)
        await chat.prompt.tap()
        # As a browser does that resizes the page for its keyboard.
        await tab.page.set_viewport_size({"width": 320, "height": 300})
        await expect(chat.prompt).to_be_in_viewport(ratio=1)
        await expect(chat.send).to_be_in_viewport(ratio=1)
        await expect(chat.last_reply.get_by_role("button", name="Copy")).to_be_in_viewport()


async def test_skipping_to_the_prompt_leaves_the_conversation_open(
    browser: Browser, settings: Settings
) -> None:
    async with opened(browser, settings, DESKTOP) as (tab, _):
        chat = ChatPage(tab.page)
        await chat.answer("Hello.")
        await tab.page.locator(".skip").focus()
        await tab.page.keyboard.press("Enter")
        await expect(chat.prompt).to_be_focused()
        await expect(chat.users).to_have_text(["Hello."])


async def test_a_browser_can_install_it(browser: Browser, settings: Settings) -> None:
    async with opened(browser, settings, PHONE) as (tab, _):
        session = await tab.page.context.new_cdp_session(tab.page)
        manifest = await session.send("Page.getAppManifest")
        assert manifest["url"].endswith("/web/manifest.webmanifest")
        assert manifest["errors"] == []
        found = await session.send("Page.getInstallabilityErrors")
        errors = {one["errorId"] for one in found["installabilityErrors"]}
        # A test's profile keeps nothing, and nothing is installed into such a one.
        assert errors <= {"in-incognito"}
