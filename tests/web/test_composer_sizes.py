"""The prompt and its button stay in sight, whatever is open around them, on any screen."""

from typing import Any

import pytest
from playwright.async_api import Browser, expect

from shared.config import Settings
from tests.scripted import ScriptedEngine
from tests.servers import running_stack
from tests.web.browser import Tab, open_tab
from tests.web.chat_page import ChatPage
from tests.web.test_phone import sticks_out

TOUCH: dict[str, Any] = {"has_touch": True, "is_mobile": True}
SCREENS: dict[str, tuple[int, int, int | None, dict[str, Any]]] = {
    "small phone": (320, 568, 280, TOUCH),
    "phone": (390, 844, 480, TOUCH),
    "phone on its side": (844, 390, 180, TOUCH),
    "tablet": (768, 1024, 620, TOUCH),
    "laptop": (1366, 768, None, {}),
    "large": (2560, 1440, None, {}),
    "4K": (3840, 2160, None, {}),
}
"""Width, height, and the height that a keyboard leaves."""
LONG = "A line of a prompt that goes on and on.\n" * 40


@pytest.mark.parametrize("name", SCREENS)
async def test_the_composer_stays_in_sight(browser: Browser, settings: Settings, name: str) -> None:
    width, height, above_keyboard, touch = SCREENS[name]
    context = await browser.new_context(viewport={"width": width, "height": height}, **touch)
    async with running_stack(settings, ScriptedEngine()) as stack:
        async with open_tab(context, str(stack.client.base_url)) as tab:
            chat = ChatPage(tab.page)
            await chat.answer("Hello.")
            await chat.last_prompt.get_by_role("button", name="Edit").click()
            await in_sight(tab)
            if above_keyboard is not None:
                await tab.page.set_viewport_size({"width": width, "height": above_keyboard})
                await in_sight(tab)
            for box in ("persona", "settings"):
                await tab.page.locator(f"#{box}-box summary").click()
                await chat.prompt.focus()
                await in_sight(tab)
            await chat.prompt.fill(LONG)
            await in_sight(tab)
            await chat.send.click()
            await chat.until_idle()
            await expect(chat.replies.last).to_contain_text("A line of a prompt")
        await context.close()


async def in_sight(tab: Tab) -> None:
    chat = ChatPage(tab.page)
    await expect(chat.prompt).to_be_in_viewport(ratio=0.99)
    await expect(chat.send).to_be_in_viewport(ratio=0.99)
    assert await sticks_out(tab) <= 0
