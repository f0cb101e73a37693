"""The chat page quotes from other conversations if its reader wants that."""

import re

from playwright.async_api import BrowserContext, Page, expect

from tests.integration.test_recall import FACT, QUESTION, reply, stack_of
from tests.scripted import ScriptedEngine
from tests.servers import Valkey
from tests.web.browser import open_tab
from tests.web.chat_page import ChatPage

LABEL = "Other conversations"


async def choose(page: Page, value: str) -> None:
    await page.locator("#settings-box > summary").click()
    await page.get_by_label(LABEL).select_option(value)


async def test_what_was_said_elsewhere_is_quoted_told_and_led_to(
    context: BrowserContext, valkey: Valkey
) -> None:
    engine = ScriptedEngine(reply)
    async with stack_of(valkey, engine) as stack:
        told = (await stack.ask(FACT))["id"]
        async with open_tab(context, str(stack.client.base_url)) as tab:
            chat = ChatPage(tab.page)
            await chat.answer(QUESTION)
            assert FACT not in engine.prompts[-1]
            await choose(tab.page, "all")
            await chat.answer(QUESTION)
            assert FACT in engine.prompts[-1]
            line = tab.page.locator(".message.assistant").last.locator(".memory")
            await expect(line).to_contain_text("Recalled from other conversations: 1")
            await expect(tab.page.locator("#settings-summary")).to_contain_text("quotes other")
            await tab.page.reload()
            await expect(line).to_contain_text("Recalled from other conversations: 1")
            await expect(tab.page.locator("#recall")).to_have_value("all")
            await line.get_by_role("link", name="Conversation 1").click()
            await expect(tab.page).to_have_url(re.compile(f"#{told}"))
            await expect(tab.page.locator(".message.user")).to_have_text(re.compile(FACT))
            await expect(tab.page.locator("#recall")).to_have_value("")


async def test_the_choice_holds_for_a_conversation_that_begins_with_it(
    context: BrowserContext, valkey: Valkey
) -> None:
    engine = ScriptedEngine(reply)
    async with (
        stack_of(valkey, engine) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        await stack.ask(FACT)
        chat = ChatPage(tab.page)
        await choose(tab.page, "all")
        await chat.answer("Good morning.")
        await chat.answer(QUESTION)
        assert FACT in engine.prompts[-1]
        await tab.page.locator("#settings-box > summary").click()
        await tab.page.locator("#clear-settings").click()
        await tab.page.locator("#settings-box > summary").click()
        await chat.answer(QUESTION)
        assert FACT not in engine.prompts[-1]


async def test_where_nothing_is_listed_nothing_is_offered(
    context: BrowserContext, valkey: Valkey
) -> None:
    async with (
        stack_of(valkey, ScriptedEngine(reply), PALAVER_OPEN_LIST=0) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        await tab.page.locator("#settings-box > summary").click()
        await expect(tab.page.locator("#memory-mode")).to_be_visible()
        await expect(tab.page.get_by_label(LABEL)).to_be_hidden()
        await expect(tab.page.get_by_text(LABEL)).to_be_hidden()
