"""A conversation is shared from the chat page, and everybody can read the shared page."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, BrowserContext, Locator, Page, expect

from shared.config import Settings
from tests.scripted import ScriptedEngine
from tests.servers import Stack, Valkey, make_settings, running_stack
from tests.web.browser import Tab, open_tab
from tests.web.chat_page import ChatPage
from tests.web.test_hostile_page import HOSTILE
from tests.web.test_looks import LOOKS

CODE_AND_MATHS = """Code:

```python
print(1)
```

Maths: $x^2$, and a

| a | b |
|:--|--:|
| 1 | 2 |"""
HANDLERS = """[...document.all].flatMap((element) => [...element.attributes])
.filter(({ name }) => name.startsWith("on")).length"""


@asynccontextmanager
async def opened(
    context: BrowserContext, valkey: Valkey, reply: str = "Nectar."
) -> AsyncIterator[tuple[Tab, Stack]]:
    settings = make_settings(valkey.url, PALAVER_SHARING=1)
    async with (
        running_stack(settings, ScriptedEngine(lambda _: reply)) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        yield tab, stack


async def share(page: Page) -> Locator:
    await ChatPage(page).rarely("Share…")
    return page.get_by_role("dialog", name="Share this conversation")


async def link_in(dialog: Locator) -> str:
    await expect(dialog.get_by_label("Link", exact=True)).to_be_visible()
    return await dialog.get_by_label("Link", exact=True).input_value()


async def test_a_link_is_made_copied_renewed_and_taken_back(
    browser: Browser, valkey: Valkey
) -> None:
    context = await browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    async with opened(context, valkey) as (tab, stack):
        page, chat = tab.page, ChatPage(tab.page)
        await expect(page.locator("#share")).to_be_hidden()
        await chat.answer("What do bees eat?")
        dialog = await share(page)
        await dialog.get_by_role("button", name="Make a link").click()
        await expect(dialog.get_by_role("status")).to_have_text("The link is ready.")
        link = await link_in(dialog)
        await dialog.get_by_role("button", name="Copy").click()
        assert await page.evaluate("navigator.clipboard.readText()") == link
        await dialog.get_by_role("button", name="Close").click()

        await chat.answer("And drink?")
        reader = await browser.new_context()
        async with open_tab(reader, link) as other:
            prompts = other.page.locator(".message.user .text")
            await expect(prompts).to_have_text(["What do bees eat?"])
            dialog = await share(page)
            assert await link_in(dialog) == link
            await dialog.get_by_role("button", name="Show it as it is now").click()
            await expect(dialog.get_by_role("status")).to_contain_text("as it is now")
            await other.page.reload()
            await expect(prompts).to_have_text(["What do bees eat?", "And drink?"])
        await reader.close()

        await dialog.get_by_role("button", name="Take it back").click()
        await expect(dialog.get_by_role("status")).to_contain_text("The link is gone.")
        await expect(dialog.get_by_role("button", name="Make a link")).to_be_focused()
        assert (await stack.client.get(link)).status_code == 404
    await context.close()


async def test_a_server_that_shares_nothing_offers_no_link(
    context: BrowserContext, settings: Settings
) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        address = str(stack.client.base_url)
        async with open_tab(context, address) as tab:
            looks: list[str] = []
            tab.page.on("requestfinished", lambda request: looks.append(request.url))
            chat = ChatPage(tab.page)
            await chat.answer("One.")
            await chat.answer("Two.")
            await tab.page.get_by_role("button", name="New chat").click()
            await chat.answer("Three.")
            await tab.page.get_by_role("button", name="More", exact=True).click()
            await expect(tab.page.get_by_role("button", name="Export JSON")).to_be_visible()
            await expect(tab.page.locator("#share")).to_be_hidden()
            assert len([url for url in looks if url.endswith("/share")]) == 1, "it looks once"


async def test_what_goes_wrong_is_said_in_the_dialog(
    context: BrowserContext, valkey: Valkey
) -> None:
    async with opened(context, valkey) as (tab, _):
        chat = ChatPage(tab.page)
        await chat.answer("Hello.")
        dialog = await share(tab.page)
        await expect(dialog.get_by_role("button", name="Make a link")).to_be_visible()
        refusal = {"code": "memory_short", "detail": "x"}
        await tab.page.route("**/share", lambda route: route.fulfill(status=507, json=refusal))
        await dialog.get_by_role("button", name="Make a link").click()
        await expect(dialog.get_by_role("status")).to_contain_text("The server's memory is full.")
        await expect(dialog.get_by_label("Link", exact=True)).to_be_hidden()


@pytest.mark.parametrize("look", LOOKS)
async def test_everybody_can_share(browser: Browser, valkey: Valkey, look: str) -> None:
    context = await browser.new_context(**LOOKS[look])
    async with opened(context, valkey) as (tab, _):
        await ChatPage(tab.page).answer("Hello.")
        dialog = await share(tab.page)
        await expect(dialog.get_by_role("button", name="Make a link")).to_be_focused()
        assert await tab.serious() == []
        await dialog.get_by_role("button", name="Make a link").click()
        await link_in(dialog)
        assert await tab.serious() == []
        width = await tab.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert width <= 0, "nothing sticks out at the side"
    await context.close()


async def shared(stack: Stack, prompt: str) -> str:
    """The path of a conversation that was shared."""
    conversation_id = (await stack.ask(prompt))["id"]
    answer = await stack.client.put(f"/conversations/{conversation_id}/share")
    path: str = answer.json()["path"]
    return path


@pytest.mark.parametrize("look", LOOKS)
async def test_everybody_can_read_the_shared_page(
    browser: Browser, valkey: Valkey, look: str
) -> None:
    settings = make_settings(valkey.url, PALAVER_SHARING=1)
    context = await browser.new_context(**LOOKS[look])
    async with running_stack(settings, ScriptedEngine(lambda _: CODE_AND_MATHS)) as stack:
        path = await shared(stack, "x" * 500)
        async with open_tab(context, f"{str(stack.client.base_url).rstrip('/')}{path}") as tab:
            await expect(tab.page.locator("math")).to_have_count(1)
            await expect(tab.page.locator("pre code")).to_have_text("print(1)\n")
            assert await tab.serious() == []
            width = await tab.page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert width <= 0, "nothing sticks out at the side"
    await context.close()


@pytest.mark.parametrize(
    ("language", "direction", "about"),
    [("de-DE", "ltr", "geteilt am"), ("ar", "rtl", "مشاركتها في"), ("pt-BR", "ltr", "shared on")],
)
async def test_the_shared_page_speaks_its_readers_language(
    browser: Browser, valkey: Valkey, language: str, direction: str, about: str
) -> None:
    settings = make_settings(valkey.url, PALAVER_SHARING=1)
    context = await browser.new_context(locale=language, viewport={"width": 320, "height": 640})
    async with running_stack(settings, ScriptedEngine(lambda _: CODE_AND_MATHS)) as stack:
        path = await shared(stack, "Hello.")
        async with open_tab(context, f"{str(stack.client.base_url).rstrip('/')}{path}") as tab:
            await expect(tab.page.locator("header p")).to_contain_text(about)
            await expect(tab.page.locator("header time")).to_have_count(1)
            await expect(tab.page.locator("html")).to_have_attribute("dir", direction)
            assert await tab.serious() == []
            width = await tab.page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert width <= 0, "nothing sticks out at the side"
    await context.close()


async def test_nothing_that_was_said_runs_on_the_shared_page(
    context: BrowserContext, valkey: Valkey
) -> None:
    settings = make_settings(valkey.url, PALAVER_SHARING=1)
    async with running_stack(settings, ScriptedEngine(lambda _: HOSTILE)) as stack:
        path = await shared(stack, HOSTILE)
        requested: list[str] = []
        context.on("request", lambda request: requested.append(request.url))
        origin = str(stack.client.base_url).rstrip("/")
        async with open_tab(context, f"{origin}{path}") as tab:
            await expect(tab.page.locator("strong")).to_have_text("bold")
            # Of the page itself there is none, and an engine that is on would run any other.
            await expect(tab.page.locator("script, img, svg, iframe")).to_have_count(0)
            assert await tab.page.evaluate(HANDLERS) == 0
            assert await tab.page.title() != "owned"
        assert all(url.startswith(origin) for url in requested), requested
