"""Text files go with a prompt: chosen, dropped, pasted, and told about before they are too long."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, FilePayload, Page, expect

from shared.config import Settings
from tests.scripted import ScriptedEngine, last_prompt
from tests.servers import Stack, running_stack
from tests.web.browser import Tab, open_tab
from tests.web.chat_page import ChatPage
from tests.web.test_bring_in import drop
from tests.web.test_looks import LOOKS

HOSTILE_NAME = "<img src=x onerror=\"document.title='owned'\">.txt"
HOSTILE_TEXT = "</code><script>document.title='owned'</script>\n```\n````"
LINES = "\n".join(f"Line {number}" for number in range(80_000))


@asynccontextmanager
async def opened(
    context: BrowserContext, settings: Settings, window: int = 1 << 20
) -> AsyncIterator[tuple[Tab, Stack, ScriptedEngine]]:
    engine = ScriptedEngine(lambda _: "Read.", window=window)
    wide = settings.model_copy(update={"context_length": 1 << 20})
    async with (
        running_stack(wide, engine) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        yield tab, stack, engine


def text_file(name: str, content: str | bytes) -> FilePayload:
    data = content.encode() if isinstance(content, str) else content
    return {"name": name, "mimeType": "", "buffer": data}


async def attach(page: Page, *files: FilePayload) -> None:
    async with page.expect_file_chooser() as waiting:
        await page.get_by_role("button", name="Attach text files").click()
    await (await waiting.value).set_files(list(files))


async def paste(page: Page, name: str, text: str, more: str = "") -> None:
    """Paste a file into the prompt, with a text beside it where there is `more`."""
    await page.evaluate(
        "([name, text, more]) => { const data = new DataTransfer();"
        " data.items.add(new File([text], name)); if (more) data.setData('text/plain', more);"
        " document.getElementById('prompt').dispatchEvent("
        "new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true})); }",
        [name, text, more],
    )


def chips(page: Page) -> Any:
    return page.get_by_role("list", name="Attached files").get_by_role("listitem")


async def test_files_go_into_the_prompt_with_name_and_size(
    context: BrowserContext, settings: Settings
) -> None:
    async with opened(context, settings) as (tab, _, engine):
        page, chat = tab.page, ChatPage(tab.page)
        await attach(page, text_file("a.py", "print(1)\r\n"), text_file("b.txt", "B"))
        await drop(page, "#title", "c.md", "C")
        await paste(page, "d.csv", "1,2")
        await paste(page, "table.txt", "no", more="meant as text")
        await expect(chips(page)).to_have_text(
            [re.compile(f"^{name}") for name in ("a.py", "b.txt", "c.md", "d.csv")]
        )
        await page.get_by_role("button", name="Remove b.txt").click()
        await page.get_by_role("button", name="Remove c.md").click()
        await chat.prompt.fill("Sum up.")
        await chat.prompt.press("Enter")
        await expect(chat.replies.last).to_have_text("Read.")
        assert last_prompt(engine.prompts[-1]) == (
            "Sum up.\n\nFile: a.py (8 bytes)\n```py\nprint(1)\n```\n\n"
            "File: d.csv (3 bytes)\n```csv\n1,2\n```"
        )
        await expect(chips(page)).to_have_count(0)
        await expect(chat.prompt).to_have_value("")


async def test_a_prompt_shows_its_files_folded_and_is_edited_with_them(
    context: BrowserContext, settings: Settings
) -> None:
    async with opened(context, settings) as (tab, _, engine):
        page, chat = tab.page, ChatPage(tab.page)
        await attach(page, text_file(HOSTILE_NAME, HOSTILE_TEXT))
        # What is written survives a reload, and so do its files.
        await chat.prompt.fill("What is this?")
        await page.reload()
        await expect(chat.prompt).to_have_value("What is this?")
        await chat.prompt.press("Enter")
        await expect(chat.replies).to_have_text("Read.")
        for _ in range(2):
            folded = chat.users.locator("details")
            await expect(folded.locator("summary .name")).to_have_text(HOSTILE_NAME)
            await folded.locator("summary").click()
            await expect(folded.locator("pre")).to_have_text(HOSTILE_TEXT)
            await expect(chat.users.locator("img, script")).to_have_count(0)
            await page.reload()
        await page.get_by_role("button", name="Edit").click()
        await expect(chat.prompt).to_have_value("What is this?")
        await expect(chips(page)).to_have_count(1)
        await page.get_by_role("button", name=f"Remove {HOSTILE_NAME}").click()
        await chat.answer("Never mind.")
        assert last_prompt(engine.prompts[-1]) == "Never mind."
        assert await page.title() != "owned"


async def test_what_is_no_text_is_refused_by_name(
    context: BrowserContext, settings: Settings
) -> None:
    async with opened(context, settings) as (tab, _, _engine):
        files = (
            text_file("photo.png", b"\x89PNG\r\n\x1a\n\x00"),
            text_file(HOSTILE_NAME, b"\xff\xff"),
            text_file("big.log", b"x" * 1_000_001),
            text_file("good.txt", "Good."),
        )
        await attach(tab.page, *files)
        await expect(chips(tab.page)).to_have_text([re.compile("^good.txt")])
        await expect(tab.page.locator("#attachments-note")).to_have_text(
            "photo.png is not a text file. Only text can be attached. "
            f"{HOSTILE_NAME} is not a text file. Only text can be attached. "
            "big.log is larger than 1 MB, the limit."
        )
        assert await tab.serious() == []


async def test_a_prompt_that_is_too_long_is_told_before_it_is_sent(
    context: BrowserContext, settings: Settings
) -> None:
    async with opened(context, settings, window=2000) as (tab, stack, _):
        page, chat = tab.page, ChatPage(tab.page)
        note = page.locator("#attachments-note")
        await chat.answer("Hello.")
        await attach(page, text_file("long.txt", "x" * 3000), text_file("short.txt", "y"))
        await chat.prompt.fill("Sum up.")
        await chat.prompt.press("Enter")
        await expect(note).to_contain_text("This is too long for the model: 3,")
        await expect(note).to_contain_text("tokens of 2,000")
        await expect(chips(page)).to_have_count(2)
        await expect(chat.prompt).to_have_value("Sum up.")
        await expect(chat.users).to_have_count(1)
        await page.get_by_role("button", name="Remove long.txt").click()
        await chat.prompt.press("Enter")
        await expect(chat.replies).to_have_count(2)
        await chat.until_idle()
        answer = await stack.client.get(f"/conversations/{chat.conversation}/messages")
        assert len(answer.json()["messages"]) == 4


async def test_eighty_thousand_lines_are_attached_and_longer_than_the_server_takes_is_told(
    context: BrowserContext, settings: Settings
) -> None:
    async with opened(context, settings) as (tab, _, engine):
        page, chat = tab.page, ChatPage(tab.page)
        for name in ("one.txt", "two.txt"):
            await attach(page, text_file(name, LINES))
        await chat.prompt.fill("Sum up.")
        await chat.prompt.press("Enter")
        note = page.locator("#attachments-note")
        await expect(note).to_contain_text("This is longer than the server accepts.")
        await page.get_by_role("button", name="Remove two.txt").click()
        await chat.prompt.press("Enter")
        await expect(chat.replies).to_have_text("Read.")
        assert "\nLine 79999\n```" in last_prompt(engine.prompts[-1])
        await chat.users.locator("summary").click()
        await expect(chat.users.locator("pre")).to_contain_text("Line 79999")


async def test_whoever_opens_another_conversation_meanwhile_sends_nothing(
    context: BrowserContext, settings: Settings
) -> None:
    async with opened(context, settings) as (tab, _, engine):
        page, chat = tab.page, ChatPage(tab.page)
        held: list[Any] = []
        await page.route("**/input_tokens", lambda route: held.append(route))
        await attach(page, text_file("a.txt", "A"))
        await chat.prompt.press("Enter")
        await expect(page.locator("#attachments-note")).to_have_text("Counting tokens …")
        await page.get_by_role("button", name="New chat").click()
        await expect(page.locator("#attachments-note")).to_be_hidden()
        await expect(chips(page)).to_have_count(1)
        assert engine.prompts == []
        await page.unroute_all(behavior="ignoreErrors")
        await chat.prompt.press("Enter")
        await expect(chat.replies).to_have_text("Read.")


async def test_a_server_that_cannot_count_now_is_sent_the_prompt(
    context: BrowserContext, settings: Settings
) -> None:
    async with opened(context, settings) as (tab, _, _engine):
        chat = ChatPage(tab.page)
        await tab.page.route("**/input_tokens", lambda route: route.fulfill(status=503, json={}))
        await attach(tab.page, text_file("a.txt", "A"))
        await chat.prompt.press("Enter")
        await expect(chat.replies).to_have_text("Read.")


@pytest.mark.parametrize("look", LOOKS)
async def test_everybody_can_attach(browser: Browser, settings: Settings, look: str) -> None:
    context = await browser.new_context(**LOOKS[look])
    async with opened(context, settings) as (tab, _, _engine):
        chat = ChatPage(tab.page)
        files = [text_file(f"{'long ' * 30}{number}.txt", "A") for number in range(5)]
        await attach(tab.page, *files)
        await expect(chips(tab.page)).to_have_count(5)
        assert await tab.serious() == []
        width = await tab.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert width <= 0, "nothing sticks out at the side"
        await chat.send.click()
        await expect(chat.replies).to_have_text("Read.")
        await chat.users.locator("summary").first.click()
        assert await tab.serious() == []
    await context.close()
