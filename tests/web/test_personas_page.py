"""The library of personas on the chat page: keep, choose, edit, delete, and who speaks."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Locator, expect

from shared.config import Settings
from tests.scripted import ScriptedEngine
from tests.servers import Stack, make_settings, running_stack
from tests.web.browser import Tab, open_tab
from tests.web.chat_page import ChatPage
from tests.web.test_looks import DESKTOP, PHONE, picture

PIRATE = "You are a pirate. Answer briefly."


@asynccontextmanager
async def opened(
    context: BrowserContext, settings: Settings, *names: str
) -> AsyncIterator[tuple[Tab, Stack]]:
    engines = [ScriptedEngine(name=name, fingerprint=name) for name in names or ("scripted",)]
    async with (
        running_stack(settings, *engines) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        await expect(tab.page.locator("#model")).not_to_be_empty()
        yield tab, stack


def dialog(tab: Tab) -> Locator:
    return tab.page.get_by_role("dialog", name="Your personas")


def head(tab: Tab) -> Locator:
    """Who speaks, as the conversation's head says."""
    return tab.page.locator("#persona-head")


async def write_own(tab: Tab, instructions: str) -> None:
    await tab.page.locator("#persona-box summary").click()
    await tab.page.get_by_label("Who the bot is").fill(instructions)


async def keep_own(tab: Tab, name: str, instructions: str) -> None:
    """Write instructions by the prompt, and keep them under a name."""
    await write_own(tab, instructions)
    await tab.page.locator("#persona-box").get_by_role("button", name="Keep").click()
    await dialog(tab).get_by_label("Name").fill(name)
    await dialog(tab).get_by_role("button", name="Keep").click()
    await expect(dialog(tab)).to_be_hidden()


async def open_library(tab: Tab) -> None:
    await tab.page.locator("#welcome-personas").click()
    await expect(dialog(tab)).to_be_visible()


async def put(stack: Stack, persona: str, **fields: str) -> None:
    body = {"name": persona.capitalize(), "context": f"You are {persona}."} | fields
    assert (await stack.client.put(f"/personas/{persona}", json=body)).status_code in (200, 201)


async def conversation(tab: Tab, stack: Stack) -> dict[str, Any]:
    """The open one, as the server knows it."""
    path = f"/conversations/{ChatPage(tab.page).conversation}"
    shown: dict[str, Any] = (await stack.client.get(path)).json()
    return shown


async def kept(stack: Stack) -> list[tuple[str, str]]:
    """Names and instructions in the server's library."""
    personas = (await stack.client.get("/personas")).json()["personas"]
    return [(persona["name"], persona["context"]) for persona in personas]


async def until_noted(tab: Tab) -> None:
    """Return when the server has all notes that this browser has taken."""
    script = "Object.keys(JSON.parse(localStorage.getItem('palaver.notes') ?? '{}')).length"
    async with asyncio.timeout(30):
        while await tab.page.evaluate(script) > 0:
            await asyncio.sleep(0.05)


async def test_own_words_are_kept_and_speak_in_conversations_that_begin(
    context: BrowserContext, settings: Settings
) -> None:
    async with opened(context, settings) as (tab, stack):
        chat = ChatPage(tab.page)
        await keep_own(tab, "Pirate", PIRATE)
        assert await kept(stack) == [("Pirate", PIRATE)]
        await expect(head(tab)).to_have_text("Speaks as Pirate")
        assert await tab.serious() == []
        await chat.answer("Hello.")
        await until_noted(tab)
        shown = await conversation(tab, stack)
        assert (shown["context"], shown["metadata"]) == (PIRATE, {"persona": "Pirate"})
        await tab.page.reload()
        await expect(head(tab)).to_have_text("Speaks as Pirate")
        # It is there for the next one, which speaks as nobody yet.
        await tab.page.get_by_role("button", name="New chat").click()
        await expect(head(tab)).to_be_hidden()
        pirate = tab.page.get_by_role("button", name="Pirate")
        await pirate.click()
        await expect(pirate).to_have_attribute("aria-pressed", "true")
        await expect(head(tab)).to_have_text("Speaks as Pirate")


async def test_the_head_keeps_the_name_that_the_conversation_began_with(
    context: BrowserContext, settings: Settings
) -> None:
    async with opened(context, settings) as (tab, stack):
        chat = ChatPage(tab.page)
        await put(stack, "ann")
        await tab.page.reload()
        await tab.page.get_by_role("button", name="Ann").click()
        await chat.answer("Hello.")
        await until_noted(tab)
        await put(stack, "ann", name="Anna", context="You are Anna.")
        await tab.page.reload()
        await expect(head(tab)).to_have_text("Speaks as Ann")
        # Until somebody gives it other instructions.
        await write_own(tab, "You are me.")
        await chat.answer("Hello again.")
        await expect(head(tab)).to_be_hidden()
        await until_noted(tab)
        assert (await conversation(tab, stack))["metadata"] == {}


async def test_the_library_is_edited_in_a_dialog(
    context: BrowserContext, settings: Settings
) -> None:
    async with opened(context, settings) as (tab, stack):
        await open_library(tab)
        await expect(dialog(tab)).to_contain_text("are listed here")
        assert await tab.serious() == []
        await dialog(tab).get_by_role("button", name="New persona").click()
        assert await tab.serious() == []
        await dialog(tab).get_by_label("Name").fill("Ann")
        await dialog(tab).get_by_label("Instructions").fill("You are Ann.")
        await dialog(tab).get_by_role("button", name="Keep").click()
        await dialog(tab).get_by_role("button", name="Edit Ann").click()
        await dialog(tab).get_by_label("Name").fill("Anna")
        # By the keyboard alone.
        await dialog(tab).get_by_label("Name").press("Enter")
        await expect(dialog(tab).get_by_role("button", name="Edit Anna")).to_be_focused()
        assert await kept(stack) == [("Anna", "You are Ann.")]
        await dialog(tab).get_by_role("button", name="Delete Anna").click()
        await expect(dialog(tab)).to_contain_text("Deleted: Anna.")
        assert await kept(stack) == []
        assert await tab.serious() == []
        undo = dialog(tab).get_by_role("button", name="Undo")
        await expect(undo).to_be_focused()
        await undo.press("Enter")
        use = dialog(tab).get_by_role("button", name="Anna", exact=True)
        await expect(use).to_be_visible()
        assert await kept(stack) == [("Anna", "You are Ann.")]
        await use.click()
        await expect(dialog(tab)).to_be_hidden()
        await expect(tab.page.get_by_text("Persona: Anna")).to_be_visible()


async def test_what_other_devices_keep_is_there(
    context: BrowserContext, settings: Settings
) -> None:
    async with opened(context, settings) as (tab, stack):
        await put(stack, "ben")
        await open_library(tab)
        await expect(dialog(tab).get_by_role("button", name="Edit Ben")).to_be_visible()
        await tab.page.keyboard.press("Escape")
        await expect(tab.page.locator("#welcome-personas")).to_be_focused()
        await put(stack, "cleo")
        await tab.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        await expect(tab.page.get_by_role("button", name="Cleo")).to_be_visible()


async def test_a_full_library_says_so_and_loses_nothing(
    context: BrowserContext, settings: Settings
) -> None:
    async with opened(context, settings) as (tab, stack):
        for number in range(100):
            await put(stack, f"p{number:02}")
        await write_own(tab, PIRATE)
        await tab.page.locator("#persona-box").get_by_role("button", name="Keep").click()
        await dialog(tab).get_by_label("Name").fill("Pirate")
        await dialog(tab).get_by_role("button", name="Keep").click()
        await expect(dialog(tab).get_by_role("alert")).to_have_text(
            "100 personas are kept, and no more. Delete one first."
        )
        await expect(dialog(tab).get_by_label("Instructions")).to_have_value(PIRATE)
        assert await tab.serious() == []
        await dialog(tab).get_by_role("button", name="Cancel").click()
        await expect(tab.page.get_by_label("Who the bot is")).to_have_value(PIRATE)
        await tab.page.reload()
        # The empty page offers a handful, the library has all.
        await expect(tab.page.locator("#persona-choice button")).to_have_count(8 + 3)
        await open_library(tab)
        await expect(dialog(tab).locator("li")).to_have_count(100)


async def test_a_server_without_a_library_leaves_them_to_the_browser(
    context: BrowserContext, settings: Settings
) -> None:
    settings = make_settings(str(settings.redis_url), PALAVER_OPEN_LIST=0)
    async with opened(context, settings) as (tab, stack):
        chat = ChatPage(tab.page)
        await keep_own(tab, "Pirate", PIRATE)
        await tab.page.reload()
        await tab.page.get_by_role("button", name="Pirate").click()
        await chat.answer("Hello.")
        await expect(head(tab)).to_have_text("Speaks as Pirate")
        await until_noted(tab)
        assert (await conversation(tab, stack))["metadata"] == {"persona": "Pirate"}
        await tab.page.get_by_role("button", name="New chat").click()
        await open_library(tab)
        await expect(dialog(tab)).to_contain_text("they stay in this browser")
        assert await tab.serious() == []
        await dialog(tab).get_by_role("button", name="Delete Pirate").click()
        await dialog(tab).get_by_role("button", name="Close").click()
        await expect(tab.page.get_by_role("button", name="Pirate")).to_have_count(0)


async def test_a_persona_may_choose_the_model(context: BrowserContext, settings: Settings) -> None:
    async with opened(context, settings, "A", "B") as (tab, stack):
        chat = ChatPage(tab.page)
        await open_library(tab)
        await dialog(tab).get_by_role("button", name="New persona").click()
        await dialog(tab).get_by_label("Name").fill("Ben")
        await dialog(tab).get_by_label("Answered by").select_option("B")
        await dialog(tab).get_by_label("Instructions").fill("You are Ben.")
        await dialog(tab).get_by_role("button", name="Keep").click()
        await dialog(tab).get_by_role("button", name="Ben", exact=True).click()
        await chat.answer("Hello.")
        await until_noted(tab)
        shown = await conversation(tab, stack)
        assert shown["model"] == "B"
        assert shown["metadata"] == {"persona": "Ben", "model": "B"}


async def test_names_and_instructions_are_texts_whatever_is_in_them(
    context: BrowserContext, settings: Settings
) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    async with opened(context, settings) as (tab, stack):
        await put(stack, "evil", name=hostile, context=f"{hostile}\n`code`")
        await tab.page.reload()
        await tab.page.get_by_role("button", name=hostile).click()
        await ChatPage(tab.page).answer("Hello.")
        await expect(head(tab)).to_have_text(f"Speaks as {hostile}")
        assert await tab.page.locator("img").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "device",
    [DESKTOP, PHONE, PHONE | {"viewport": {"width": 320, "height": 568}}],
    ids=["desktop", "phone", "smallest"],
)
async def test_everybody_can_use_it(
    browser: Browser, settings: Settings, device: dict[str, Any], scheme: str
) -> None:
    context = await browser.new_context(**device | {"color_scheme": scheme})
    async with opened(context, settings) as (tab, stack):
        await put(stack, "ann", name="A persona with a long name that fits nowhere " * 2)
        await put(stack, "ben")
        await tab.page.reload()
        await open_library(tab)
        await expect(dialog(tab).locator("li")).to_have_count(2)
        kind = json.dumps([device["viewport"]["width"], scheme])
        await picture(tab, f"personas-{kind}")
        assert await tab.serious() == []
        assert await sticks_out(tab) <= 0
        await dialog(tab).locator("li .name").first.click()
        await ChatPage(tab.page).answer("Hello.")
        await expect(head(tab)).to_be_visible()
        await picture(tab, f"persona-head-{kind}")
        assert await tab.serious() == []
        assert await sticks_out(tab) <= 0
    await context.close()


async def sticks_out(tab: Tab) -> int:
    width: int = await tab.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return width
