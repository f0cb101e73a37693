"""Several models on the chat page: a choice, who wrote what, and what happens when one is gone."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from playwright.async_api import Browser, BrowserContext, Locator, expect

from shared.config import Settings
from tests.scripted import ScriptedEmbedder, ScriptedEngine
from tests.servers import Stack, running_stack, running_worker
from tests.web.browser import Tab, open_tab
from tests.web.chat_page import ChatPage
from tests.web.test_looks import PHONE

LONG_NAME = "A-Model-With-A-Very-Long-Name-That-Does-Not-Fit-On-Any-Phone-Q4_K_M.with-a-suffix"


def choice(tab: Tab) -> Locator:
    return tab.page.get_by_role("combobox", name="Model")


def engine(name: str) -> ScriptedEngine:
    return ScriptedEngine(name=name, fingerprint=name)


@asynccontextmanager
async def opened(
    context: BrowserContext, settings: Settings, *models: str
) -> AsyncIterator[tuple[Tab, Stack]]:
    """A tab of a server with these models, and with one that embeds."""
    engines = [engine(name) for name in models]
    async with (
        running_stack(settings, *engines, ScriptedEmbedder()) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        if len(models) > 1:
            await expect(choice(tab).locator("option")).to_have_count(1 + len(models))
        yield tab, stack


async def until_several(tab: Tab) -> None:
    """Return when the page offers a choice; it looks again when it comes into sight."""
    async with asyncio.timeout(30):
        while await choice(tab).is_hidden():
            await tab.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
            await asyncio.sleep(0.1)


async def written_by(tab: Tab, stack: Stack) -> list[Any]:
    """The models of the open conversation's replies, as the server knows them."""
    path = f"/conversations/{ChatPage(tab.page).conversation}/messages"
    messages = (await stack.client.get(path)).json()["messages"]
    return [message["model"] for message in messages if message["role"] == "assistant"]


async def test_there_is_a_choice_only_where_there_are_several(
    context: BrowserContext, settings: Settings
) -> None:
    async with opened(context, settings, "A") as (tab, _):
        await expect(tab.page.locator("#model")).to_contain_text("A")
        await expect(choice(tab)).to_be_hidden()
        await ChatPage(tab.page).answer("Hello.")
        await expect(tab.page.locator(".by")).to_be_hidden()
        async with running_worker(settings, engine("B")):
            await until_several(tab)
            await expect(choice(tab).locator("option")).to_have_text(["A", "B"])
            await expect(tab.page.locator(".by")).to_have_text("Model: A")
            assert await tab.serious() == []


async def test_each_conversation_keeps_its_model(
    context: BrowserContext, settings: Settings
) -> None:
    async with opened(context, settings, "A", "B") as (tab, stack):
        chat = ChatPage(tab.page)
        await choice(tab).select_option("A")
        await chat.answer("One.")
        # By the keyboard alone.
        await choice(tab).focus()
        await tab.page.keyboard.press("B")
        await expect(choice(tab)).to_have_value("B")
        await chat.answer("Two.")
        await expect(tab.page.locator("#model")).to_contain_text("B")
        assert await tab.serious() == []
        await tab.page.reload()
        await expect(choice(tab)).to_have_value("B")
        await expect(tab.page.locator(".by")).to_have_text(["Model: A", "Model: B"])
        await tab.page.get_by_role("button", name="New chat").click()
        # As it was chosen for the last new one.
        await expect(choice(tab)).to_have_value("A")
        await chat.answer("Three.")
        await chat.conversations.last.click()
        await expect(choice(tab)).to_have_value("B")
        await chat.answer("Four.")
        assert await written_by(tab, stack) == ["A", "B", "B"]
        await choice(tab).select_option("A")
        await chat.last_reply.get_by_role("button", name="Retry").click()
        await expect(tab.page.locator(".by:visible")).to_have_text(
            ["Model: A", "Model: B", "Model: A"]
        )
        assert await written_by(tab, stack) == ["A", "B", "A"]


async def test_the_server_decides_where_nothing_was_chosen(
    context: BrowserContext, settings: Settings
) -> None:
    async with opened(context, settings, "A", "B") as (tab, stack):
        chat = ChatPage(tab.page)
        first = await stack.ask("Hello.", model="B")
        await tab.page.goto(f"{stack.client.base_url}#{first['id']}")
        await expect(choice(tab)).to_have_value("B")
        await chat.answer("Again.")
        assert await written_by(tab, stack) == ["B", "B"]


async def test_a_model_that_never_was_is_refused_in_words(
    context: BrowserContext, settings: Settings
) -> None:
    async with opened(context, settings, "A", "B") as (tab, stack):
        chat = ChatPage(tab.page)
        remembered = """localStorage.setItem("palaver.models", '{"new": "C <b>"}')"""
        await tab.page.evaluate(remembered)
        await tab.page.reload()
        await expect(choice(tab).locator("option:checked")).to_have_text("C <b> (not served now)")
        await chat.prompt.fill("Hello.")
        await chat.prompt.press("Enter")
        await expect(chat.connection).to_have_text(
            re.compile(
                r"^Not sent: there is no model 'C <b>'; there are .*B.*\. "
                r"Choose another model, or try again later\.$"
            )
        )
        await expect(chat.prompt).to_have_value("Hello.")
        assert await tab.serious() == []
        await choice(tab).select_option("B")
        await chat.prompt.press("Enter")
        await expect(chat.replies.last).to_have_text("You said: Hello.")
        await expect(choice(tab).locator("option", has_text="not served")).to_have_count(0)
        assert await written_by(tab, stack) == ["B"]


async def test_a_model_that_is_gone_can_be_exchanged(
    context: BrowserContext, settings: Settings
) -> None:
    async with opened(context, settings, "A") as (tab, stack):
        chat = ChatPage(tab.page)
        async with running_worker(settings, engine("B")):
            await until_several(tab)
            await choice(tab).select_option("B")
            await chat.answer("One.")
        await chat.prompt.fill("Two.")
        await chat.prompt.press("Enter")
        await expect(chat.connection).to_have_text(
            "Not sent: No worker runs the model B at the moment. "
            "Choose another model, or try again later."
        )
        await expect(choice(tab).locator("option")).to_have_text(["A", "B (not served now)"])
        await choice(tab).select_option("A")
        await chat.prompt.press("Enter")
        await expect(chat.replies.last).to_have_text("You said: Two.")
        assert await written_by(tab, stack) == ["B", "A"]


async def test_a_model_that_restarts_is_waited_for(
    context: BrowserContext, settings: Settings
) -> None:
    async with opened(context, settings, "A") as (tab, stack), AsyncExitStack() as workers:
        chat = ChatPage(tab.page)
        async with running_worker(settings, engine("B")):
            await until_several(tab)
            await choice(tab).select_option("B")
        await chat.ask("Hello.")
        await expect(chat.last_reply).to_contain_text("Trying again")
        await workers.enter_async_context(running_worker(settings, engine("B")))
        await expect(chat.replies.last).to_have_text("You said: Hello.")
        await expect(chat.connection).to_be_hidden()
        assert await written_by(tab, stack) == ["B"]


async def test_the_choice_fits_a_phone(browser: Browser, settings: Settings) -> None:
    context = await browser.new_context(**PHONE)
    async with opened(context, settings, "<b>A</b>", LONG_NAME) as (tab, _):
        chat = ChatPage(tab.page)
        await choice(tab).select_option(LONG_NAME)
        await chat.answer("Hello.")
        await expect(tab.page.locator(".by")).to_have_text(f"Model: {LONG_NAME}")
        width = await tab.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert width <= 0, "nothing sticks out at the side"
        box = await choice(tab).bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= 390
        assert await tab.serious() == []
    await context.close()
