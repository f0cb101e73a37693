"""The chat page in a real browser, with real processes and the real model."""

import asyncio
import json
import os
import re
import signal
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, BrowserContext, expect

from tests.e2e.processes import Palaver
from tests.web.browser import open_tab
from tests.web.chat_page import LONG, ChatPage, stored, until_running, words

pytestmark = pytest.mark.timeout(180)


async def test_a_conversation_with_a_persona(context: BrowserContext, palaver: Palaver) -> None:
    async with open_tab(context, palaver.url) as tab:
        chat = ChatPage(tab.page)
        await expect(tab.page.get_by_role("heading", name="What is on your mind?")).to_be_visible()
        await tab.page.get_by_text("Persona", exact=True).click()
        await tab.page.get_by_label("Who the bot is").fill("You are a pirate. Answer briefly.")
        first = await chat.answer("Who are you?")
        await chat.answer("What do you like?")

        messages = await stored(palaver, chat.conversation)
        assert [one["content"] for one in messages if one["role"] == "user"] == [
            "Who are you?",
            "What do you like?",
        ]
        assert words(messages[1]["content"]) == words(first)
        assert tab.page.url.startswith(f"{palaver.url}/#")
        await expect(chat.conversations).to_have_text(["Who are you?"])
        await expect(tab.page.get_by_role("heading", level=1)).to_have_text("Who are you?")
        async with httpx.AsyncClient(base_url=palaver.url) as client:
            shown = (await client.get(f"/conversations/{chat.conversation}")).json()
        assert shown["context"] == "You are a pirate. Answer briefly."


async def test_retry_and_edit_replace_the_last_turn(
    context: BrowserContext, palaver: Palaver
) -> None:
    async with open_tab(context, palaver.url) as tab:
        chat = ChatPage(tab.page)
        await chat.answer("Say one.")
        await chat.answer("Say two.")
        before = await stored(palaver, chat.conversation)

        await chat.last_reply.get_by_role("button", name="Retry").click()
        await expect(chat.stop).to_be_visible()
        await chat.until_idle()
        again = await stored(palaver, chat.conversation)
        assert [one["content"] for one in again[:3]] == [one["content"] for one in before[:3]]
        assert again[3]["job"] != before[3]["job"]
        assert len(again) == 4

        await chat.last_prompt.get_by_role("button", name="Edit").click()
        await expect(chat.prompt).to_have_value("Say two.")
        await chat.answer("Say three.")
        edited = await stored(palaver, chat.conversation)
        said = [one["content"] for one in edited if one["role"] == "user"]
        assert said == ["Say one.", "Say three."]
        await expect(chat.users).to_have_text(said)


async def test_a_reply_is_stopped(context: BrowserContext, palaver: Palaver) -> None:
    async with open_tab(context, palaver.url) as tab:
        chat = ChatPage(tab.page)
        await chat.answer("Hello.")
        await chat.ask_for_a_long_reply()
        await chat.until_writing()
        await chat.stop.click()
        await chat.until_idle()
        await expect(chat.last_reply).to_contain_text("Stopped.")
        kept = await stored(palaver, chat.conversation)
        assert [one["content"] for one in kept[::2]] == ["Hello.", LONG]
        assert kept[3]["finish_reason"] == "stopped"
        await tab.page.reload()
        await expect(chat.users).to_have_text(["Hello.", LONG])
        await expect(chat.last_reply).to_contain_text("Stopped.")
        await chat.answer("Say yes.")
        assert len(await stored(palaver, chat.conversation)) == 6


async def test_a_reload_in_mid_reply_goes_on(context: BrowserContext, palaver: Palaver) -> None:
    async with open_tab(context, palaver.url) as tab:
        chat = ChatPage(tab.page)
        await chat.ask_for_a_long_reply()
        begun = await chat.until_writing()
        await tab.page.reload()
        await chat.until_writing()
        await expect(chat.users).to_have_text([LONG])
        await chat.until_idle()
        messages = await stored(palaver, chat.conversation)
        assert [one["role"] for one in messages] == ["user", "assistant"]
        shown = words(await chat.replies.last.inner_text())
        assert shown == words(messages[1]["content"])
        # The last words that were read may have been in the middle.
        assert words(begun)[:-1] == shown[: len(words(begun)) - 1]


async def test_two_tabs_show_the_same(context: BrowserContext, palaver: Palaver) -> None:
    async with open_tab(context, palaver.url) as left, open_tab(context, palaver.url) as right:
        one, other = ChatPage(left.page), ChatPage(right.page)
        await one.answer("Hello.")
        await other.conversations.first.click()
        await expect(other.users).to_have_text(["Hello."])
        await one.ask_for_a_long_reply()
        await other.until_writing()
        await expect(other.users).to_have_text(["Hello.", LONG])
        for tab in (one, other):
            await tab.until_idle()
            await expect(tab.replies).to_have_count(2)
        # Markdown is put into the tabs a moment after the end, one after the other.
        async with asyncio.timeout(30):
            while await other.replies.last.inner_text() != await one.replies.last.inner_text():
                await asyncio.sleep(0.05)
        assert len(await stored(palaver, one.conversation)) == 4


async def test_a_worker_is_killed_while_it_writes(
    context: BrowserContext, palaver: Palaver
) -> None:
    async with open_tab(context, palaver.url) as tab:
        chat = ChatPage(tab.page)
        await until_running(palaver, 0)
        await chat.ask_for_a_long_reply()
        await chat.until_writing()
        [worker] = await until_running(palaver, 1)
        os.kill(worker, signal.SIGKILL)
        await chat.until_idle()
        messages = await stored(palaver, chat.conversation)
        assert [one["role"] for one in messages] == ["user", "assistant"]
        shown = words(await chat.replies.last.inner_text())
        assert shown == words(messages[1]["content"])
        async with httpx.AsyncClient(base_url=palaver.url) as client:
            job = (await client.get(f"/jobs/{messages[1]['job']}")).json()
        assert job["attempts"] == 2


async def test_offline_and_back(context: BrowserContext, palaver: Palaver) -> None:
    async with open_tab(context, palaver.url) as tab:
        chat = ChatPage(tab.page)
        await chat.answer("Hello.")
        await context.set_offline(True)
        await chat.ask("Are you there?")
        await expect(chat.connection).to_have_text("The connection is lost. Trying again …")
        await context.set_offline(False)
        await chat.until_idle()
        await expect(chat.connection).to_be_hidden()
        said = [one["content"] for one in await stored(palaver, chat.conversation)]
        assert said[0::2] == ["Hello.", "Are you there?"]


async def test_that_there_is_no_network_is_said_if_the_server_is_gone_with_it(
    context: BrowserContext, palaver: Palaver
) -> None:
    async with open_tab(context, palaver.url) as tab:
        chat = ChatPage(tab.page)
        await expect(tab.page.locator("#starts button").first).to_be_visible()
        async with tab.page.expect_response("**/healthz"):
            await tab.page.evaluate("dispatchEvent(new Event('offline'))")
        await tab.page.wait_for_timeout(1000)  # longer than a lost one is kept quiet
        await expect(chat.connection).to_be_hidden()
        await context.set_offline(True)
        await expect(chat.connection).to_be_visible()
        await context.set_offline(False)
        await expect(chat.connection).to_be_hidden()


async def test_a_prompt_that_was_not_accepted_survives_a_reload(
    context: BrowserContext, palaver: Palaver
) -> None:
    async with open_tab(context, palaver.url) as tab:
        chat = ChatPage(tab.page)
        await tab.page.route("**/jobs", lambda route: route.abort())
        await chat.ask("Did you get this?")
        await expect(chat.connection).to_be_visible()
        await tab.page.unroute("**/jobs")
        await tab.page.reload()
        await expect(chat.users).to_have_text(["Did you get this?"])
        await chat.until_idle()
        assert len(await stored(palaver, chat.conversation)) == 2


async def test_the_place_in_the_queue_is_shown(context: BrowserContext, palaver: Palaver) -> None:
    body = {"prompt": LONG, "max_tokens": 600, "ignore_eos": True}
    async with (
        httpx.AsyncClient(base_url=palaver.url) as client,
        open_tab(context, palaver.url) as tab,
    ):
        ahead = [(await client.post("/jobs", json=body)).json()["job"] for _ in range(3)]
        chat = ChatPage(tab.page)
        await chat.ask("Hello.")
        await expect(chat.last_reply).to_contain_text(re.compile(r"Place \d in the queue"))
        for job in ahead:
            await client.delete(f"/jobs/{job}")
        await chat.until_idle()
        assert len(await stored(palaver, chat.conversation)) == 2


async def test_what_is_no_longer_in_view_is_told(context: BrowserContext, palaver: Palaver) -> None:
    async with open_tab(context, palaver.url) as tab:
        chat = ChatPage(tab.page)
        for _ in range(5):
            await chat.answer(LONG)
        receipt = tab.page.locator("#receipt")
        await expect(receipt).to_have_text(re.compile(r"^\d turns? no longer in view$"))
        border = tab.page.locator(".border")
        await expect(border).to_have_text(re.compile(r"^\d turns? above no longer in view$"))
        async with httpx.AsyncClient(base_url=palaver.url) as client:
            window = (await client.get(f"/conversations/{chat.conversation}")).json()["window"]
        prompts = "xpath=preceding-sibling::li[contains(@class, 'user')]"
        above = await border.locator(prompts).count()
        assert above == window["turns_dropped"] > 0
        await tab.page.reload()
        await expect(receipt).to_have_text(re.compile(r"no longer in view$"))


async def test_export_copy_and_delete(browser: Browser, palaver: Palaver, tmp_path: Path) -> None:
    context = await browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    async with open_tab(context, palaver.url) as tab:
        chat = ChatPage(tab.page)
        await chat.answer("Say hello to *Ann*.")
        messages = await stored(palaver, chat.conversation)
        conversation = chat.conversation

        async with tab.page.expect_download() as waiting:
            await chat.rarely("Export JSON")
        download = await waiting.value
        assert download.suggested_filename == f"palaver-{conversation}.json"
        await download.save_as(tmp_path / "it.json")
        saved = json.loads((tmp_path / "it.json").read_text(encoding="utf-8"))
        assert (saved["id"], saved["messages"]) == (conversation, messages)

        async with tab.page.expect_download() as waiting:
            await chat.rarely("Export Markdown")
        await (await waiting.value).save_as(tmp_path / "it.md")
        said = f"## You\n\nSay hello to *Ann*.\n\n## Bot\n\n{messages[1]['content']}\n"
        assert said in (tmp_path / "it.md").read_text(encoding="utf-8")

        await chat.last_reply.get_by_role("button", name="Copy").last.click()
        copied = await tab.page.evaluate("navigator.clipboard.readText()")
        assert copied == messages[1]["content"]

        await chat.rarely("Delete")
        await tab.page.get_by_role("button", name="Keep it").click()
        await expect(chat.conversations).to_have_count(1)
        await chat.rarely("Delete")
        await tab.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        await expect(chat.conversations).to_have_count(0)
        await expect(chat.messages.locator("li")).to_have_count(0)
        async with httpx.AsyncClient(base_url=palaver.url) as client:
            assert (await client.get(f"/conversations/{conversation}")).status_code == 404
            # A tab that still knows it says so.
            await tab.page.goto(f"{palaver.url}/#{conversation}")
            await expect(chat.connection).to_have_text("That conversation does not exist any more.")
    await context.close()


async def test_several_conversations_stand_side_by_side(
    context: BrowserContext, palaver: Palaver
) -> None:
    async with open_tab(context, palaver.url) as tab:
        chat = ChatPage(tab.page)
        await chat.ask_for_a_long_reply()
        await chat.until_writing()
        await tab.page.get_by_role("button", name="New chat").click()
        await expect(chat.users).to_have_count(0)
        await chat.answer("Hello.")
        await expect(chat.conversations).to_have_text(["Hello.", re.compile("^Write a very long")])
        await chat.conversations.last.click()
        await expect(chat.users).to_have_text([LONG])
        await chat.until_idle()
        messages = await stored(palaver, chat.conversation)
        assert words(await chat.replies.last.inner_text()) == words(messages[1]["content"])
