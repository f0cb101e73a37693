"""The chat page shows what is remembered of the turns out of view, and lets people correct it."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Locator, Page, expect

from shared.config import Settings
from tests.integration.test_summaries import (
    LONG,
    begin,
    is_fold,
    memory_of,
    remember,
    stack_of,
    summarised,
)
from tests.scripted import ScriptedEngine
from tests.servers import Stack, Valkey, running_stack
from tests.web.browser import Tab, open_tab
from tests.web.chat_page import ChatPage
from tests.web.test_languages import SAID, SMALLEST, STICKING_OUT, english_in
from tests.web.test_looks import LOOKS

TITLE = "What it remembers"


@asynccontextmanager
async def opened(
    context: BrowserContext, valkey: Valkey, **variables: Any
) -> AsyncIterator[tuple[Tab, Stack, int]]:
    """A tab with a conversation that is longer than its window."""
    async with stack_of(valkey, ScriptedEngine(remember), **variables) as stack:
        conversation = await begin(stack)
        async with open_tab(context, f"{stack.client.base_url}#{conversation}") as tab:
            await expect(border(tab.page)).to_be_visible()
            yield tab, stack, conversation


def border(page: Page) -> Locator:
    """The line where the window begins."""
    return page.locator(".border")


async def remembered(page: Page) -> Locator:
    """The dialog, opened at the line, once it says what there is."""
    await border(page).get_by_role("button", name=TITLE).click()
    dialog = page.get_by_role("dialog", name=TITLE)
    await expect(dialog.locator("#memory-facts")).not_to_be_empty()
    return dialog


def text_in(dialog: Locator) -> Locator:
    return dialog.get_by_label("Summary", exact=True)


async def remade(stack: Stack, conversation: int, dialog: Locator) -> None:
    """Workers make a summary after a turn; the list tells the page when they have."""
    await expect(text_in(dialog)).to_have_value("")
    await stack.ask("And now?", id=conversation)
    text = (await summarised(stack, conversation))["text"]
    assert text.startswith("fact 0")
    await expect(text_in(dialog)).to_have_value(text)


async def test_the_summary_is_shown_corrected_and_deleted(
    context: BrowserContext, valkey: Valkey
) -> None:
    async with opened(context, valkey) as (tab, stack, conversation):
        made = await summarised(stack, conversation)
        dialog = await remembered(tab.page)
        facts, status = dialog.locator("#memory-facts"), dialog.get_by_role("status")
        await expect(text_in(dialog)).to_have_value(made["text"])
        await expect(facts).to_contain_text(
            f"It stands for {made['turns']} turns, messages 1 to {made['last']}."
        )
        await expect(facts).to_contain_text("Written by scripted")

        await text_in(dialog).fill("The dog is called Max.")
        await dialog.get_by_role("button", name="Keep").click()
        await expect(status).to_have_text("Kept. The model reads it with the next prompt.")
        await expect(facts).to_contain_text("Corrected by hand")
        corrected = (await memory_of(stack, conversation))["summary"]
        assert corrected["text"] == "The dog is called Max."
        assert corrected["model"] is None

        await dialog.get_by_role("button", name="Delete").click()
        await expect(status).to_contain_text("It is made anew while the server is idle.")
        await remade(stack, conversation, dialog)
        await dialog.get_by_role("button", name="Close").click()
        await expect(dialog).to_be_hidden()


async def test_a_new_summary_does_not_take_away_what_is_being_written(
    context: BrowserContext, valkey: Valkey
) -> None:
    async with opened(context, valkey) as (tab, stack, conversation):
        await summarised(stack, conversation)
        dialog = await remembered(tab.page)
        await text_in(dialog).fill("What I write.")
        path = f"/conversations/{conversation}/memory"
        await stack.client.patch(path, json={"summary": "Another."})
        await expect(dialog.get_by_role("status")).to_contain_text("changed meanwhile")
        await expect(text_in(dialog)).to_have_value("What I write.")
        await expect(dialog.locator("#memory-facts")).to_contain_text("Corrected by hand")
        await text_in(dialog).fill("Another.")
        await stack.client.delete(path)
        await expect(dialog.locator("#memory-facts")).to_contain_text("There is no summary yet.")
        await remade(stack, conversation, dialog)


async def test_a_conversation_that_forgets_shows_nothing_of_it(
    context: BrowserContext, valkey: Valkey
) -> None:
    async with opened(context, valkey, PALAVER_MEMORY="fifo") as (tab, stack, conversation):
        await expect(border(tab.page)).to_have_text(
            re.compile(r"^\d turns? above no longer in view$")
        )
        await tab.page.get_by_role("button", name="More", exact=True).click()
        offers = tab.page.get_by_role("button", name=TITLE)
        await expect(tab.page.get_by_role("button", name="Export JSON")).to_be_visible()
        await expect(offers).to_have_count(0)
        # Until it remembers, which may be decided elsewhere.
        await stack.client.patch(f"/conversations/{conversation}", json={"memory": "summary"})
        await expect(offers).to_have_count(2)
        dialog = await remembered(tab.page)
        await expect(dialog.locator("#memory-facts")).to_have_text("There is no summary yet.")
        await expect(dialog.get_by_role("button", name="Delete")).to_be_hidden()


async def test_what_goes_wrong_is_said_in_the_dialog(
    context: BrowserContext, valkey: Valkey
) -> None:
    async with opened(context, valkey) as (tab, stack, conversation):
        await summarised(stack, conversation)
        dialog = await remembered(tab.page)
        refusal = {"code": "nothing_to_summarise", "detail": "x"}
        await tab.page.route("**/memory", lambda route: route.fulfill(status=409, json=refusal))
        await dialog.get_by_role("button", name="Keep").click()
        await expect(dialog.get_by_role("status")).to_have_text("No turn has left the view yet.")


async def recalling(stack: Stack) -> int:
    """A long conversation, of which the page shows the end, with a fact at its beginning."""
    turns = [("My dog is called Rex.", "I see."), *([(LONG, "I see.")] * 30)]
    messages = [
        {"role": role, "content": content}
        for turn in turns
        for role, content in zip(("user", "assistant"), turn, strict=True)
    ]
    body = {"title": "Dogs", "memory": "summary", "messages": messages}
    begun = await stack.client.post("/conversations", json=body)
    assert begun.status_code == 201, begun.text
    conversation: int = begun.json()["id"]
    await stack.client.patch(f"/conversations/{conversation}/messages/3", json={"pinned": True})
    return conversation


async def test_a_reply_tells_which_messages_came_back_and_leads_to_them(
    context: BrowserContext, valkey: Valkey
) -> None:
    engine = ScriptedEngine(lambda prompt: "They have a dog." if is_fold(prompt) else "I see.")
    async with stack_of(valkey, engine, PALAVER_RECALL_TOKENS=300) as stack:
        conversation = await recalling(stack)
        async with open_tab(context, f"{stack.client.base_url}#{conversation}") as tab:
            page, chat = tab.page, ChatPage(tab.page)
            await chat.answer("Hello.")
            await summarised(stack, conversation)
            await chat.answer("Who is Rex, my dog?")
            receipt = chat.last_reply.locator(".memory")
            line = (
                "^What the model saw of earlier messages: "
                r"Recalled: 1, 2 · Pinned: 3 · Summary of \d+ turns$"
            )
            await expect(receipt).to_have_text(re.compile(line))
            # It stands there again when the page is loaded.
            await page.reload()
            await expect(receipt).to_have_text(re.compile(line))
            first = page.locator(".message", has_text="My dog is called Rex.")
            await expect(first).to_have_count(0)
            await receipt.get_by_role("link", name="Message 1").click()
            await expect(first).to_be_focused()
            await expect(first).to_be_in_viewport()
            assert chat.conversation == conversation
            await expect(page.locator(".message .memory")).to_have_count(1)


async def test_a_reply_without_memories_tells_nothing_of_them(
    context: BrowserContext, valkey: Valkey
) -> None:
    async with opened(context, valkey, PALAVER_MEMORY="fifo") as (tab, _, _):
        await ChatPage(tab.page).answer("Hello.")
        await expect(tab.page.locator(".memory")).to_have_count(0)


async def test_a_message_is_pinned_and_let_go(context: BrowserContext, settings: Settings) -> None:
    holding: list[asyncio.Future[None]] = []
    engine = ScriptedEngine(step=lambda _: holding[0] if holding else None)
    async with (
        running_stack(settings, engine) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        page, chat = tab.page, ChatPage(tab.page)
        await chat.answer("My dog is called Rex.")
        await chat.answer("And so on.")
        first, announcer = page.locator(".message.user").first, page.locator("#announcer")
        await expect(first.get_by_text("always in view")).to_be_hidden()
        await first.get_by_role("button", name="Pin", exact=True).press("Enter")
        await expect(first.get_by_text("Pinned: always in view")).to_be_visible()
        await expect(announcer).to_have_text("Pinned. Its turn stays in view.")
        await expect(first.get_by_role("button", name="Unpin")).to_be_focused()
        assert [one.get("pinned", False) for one in await messages_of(stack, chat)] == [
            True,
            False,
            False,
            False,
        ]
        # So it stays, whatever is said, also of the last reply, and when the page is loaded.
        await chat.last_reply.get_by_role("button", name="Pin", exact=True).click()
        await expect(chat.last_reply.get_by_text("always in view")).to_be_visible()
        holding.append(asyncio.get_running_loop().create_future())
        await chat.ask("More.")
        await expect(page.get_by_role("button", name="Unpin").last).to_be_disabled()
        await expect(first.get_by_role("button", name="Unpin")).to_be_enabled()
        holding.pop().set_result(None)
        await chat.until_idle()
        await page.reload()
        await expect(page.locator(".message .pin-mark:visible")).to_have_count(2)
        await first.hover()
        await first.get_by_role("button", name="Unpin").click()
        await expect(first.get_by_text("always in view")).to_be_hidden()
        assert "pinned" not in (await messages_of(stack, chat))[0]


async def messages_of(stack: Stack, chat: ChatPage) -> list[dict[str, Any]]:
    answer = await stack.client.get(f"/conversations/{chat.conversation}/messages")
    messages: list[dict[str, Any]] = answer.json()["messages"]
    return messages


async def test_a_conversation_is_begun_with_a_way_of_remembering_and_gets_another(
    context: BrowserContext, settings: Settings
) -> None:
    async with (
        running_stack(settings, ScriptedEngine()) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        page, chat = tab.page, ChatPage(tab.page)
        mode = page.get_by_label("Turns out of view")
        await page.locator("#settings-box > summary").click()
        await expect(mode).to_have_value("")
        await mode.select_option("are remembered")
        await chat.answer("One.")
        path = f"/conversations/{chat.conversation}"
        assert (await stack.client.get(path)).json()["memory"] == "summary"
        await expect(mode).to_have_value("summary")
        await page.reload()
        await expect(mode).to_have_value("summary")
        await page.locator("#settings-box > summary").click()
        async with page.expect_response(lambda answer: answer.request.method == "PATCH"):
            await mode.select_option("the server's own")
        assert "memory" not in (await stack.client.get(path)).json()
        # What is decided elsewhere is shown, too.
        await stack.client.patch(path, json={"memory": "fifo"})
        await expect(mode).to_have_value("fifo")
        # The next one begins with the server's own.
        await page.get_by_role("button", name="New chat").click()
        await expect(mode).to_have_value("")


async def test_a_way_of_remembering_that_is_refused_is_not_shown(
    context: BrowserContext, settings: Settings
) -> None:
    async with (
        running_stack(settings, ScriptedEngine()) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        page, chat = tab.page, ChatPage(tab.page)
        await chat.answer("One.")
        refusal = {"code": "x", "detail": "not now"}
        await page.route(
            f"**/conversations/{chat.conversation}",
            lambda route: route.fulfill(status=409, json=refusal),
        )
        await page.locator("#settings-box > summary").click()
        await page.get_by_label("Turns out of view").select_option("are remembered")
        await expect(chat.connection).to_contain_text("not now.")
        await expect(page.get_by_label("Turns out of view")).to_have_value("")


@pytest.mark.parametrize(
    ("language", "look"),
    [
        ("ar", {"viewport": SMALLEST}),
        ("de", {"viewport": SMALLEST}),
        ("ar", LOOKS["phone"]),
        ("en", LOOKS["dark"]),
        ("es", LOOKS["phone"]),
        ("fr", LOOKS["light"]),
        ("zh-Hans", LOOKS["dark"]),
    ],
)
async def test_everybody_can_use_it_in_every_language(
    browser: Browser, valkey: Valkey, language: str, look: dict[str, Any]
) -> None:
    engine = ScriptedEngine(lambda prompt: "They have a dog." if is_fold(prompt) else "I see.")
    context = await browser.new_context(**look, locale=language)
    async with stack_of(valkey, engine, PALAVER_RECALL_TOKENS=300) as stack:
        conversation = await recalling(stack)
        await stack.ask("Hello.", id=conversation)
        await summarised(stack, conversation)
        await stack.ask("Who is Rex, my dog?", id=conversation)
        async with open_tab(context, f"{stack.client.base_url}#{conversation}") as tab:
            async for state in states(tab.page):
                said = await tab.page.evaluate(SAID)
                assert language == "en" or english_in(said, language) == [], state
                assert await tab.page.evaluate(STICKING_OUT) == [], state
                assert await tab.serious() == [], state
    await context.close()


async def states(page: Page) -> AsyncIterator[str]:
    """Where the page speaks of what is remembered."""
    await expect(page.locator(".message .memory a")).to_have_count(3)
    await (
        page.locator(".message.assistant button").filter(has=page.locator(".icon-pin")).last.click()
    )
    await expect(page.locator(".pin-mark:visible")).to_have_count(1)
    yield "a receipt and a pin"
    await page.locator("#settings-box > summary").click()
    yield "the settings"
    await page.locator("#settings-box > summary").click()
    await page.locator(".message .memory a").first.click()
    await expect(page.locator(".message:focus")).to_be_visible()
    await border(page).scroll_into_view_if_needed()
    yield "the line at the window's beginning"
    await border(page).locator("button").click()
    await expect(page.locator("#memory-summary")).to_have_value("They have a dog.")
    yield "the summary"
    await page.locator("#memory-delete").click()
    await expect(page.locator("#memory-status")).not_to_be_empty()
    yield "it is deleted"
