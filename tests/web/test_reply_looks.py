"""Replies look right while they stream: code in its box, formulas, and nothing that runs."""

import asyncio
import re

import pytest
from playwright.async_api import BrowserContext, expect

from shared.config import Settings
from tests.scripted import ScriptedEngine
from tests.servers import running_stack
from tests.unit.rendering.test_rendering import HOSTILE_FORMULAS
from tests.web.browser import open_tab
from tests.web.chat_page import ChatPage

CODE = "def f(x):\n    return x  # same\n"
REPLY = f"Look:\n\n```python\n{CODE}```\n\nSo \\(x_1 \\le 2\\), see https://example.org/a.\n"
RICH = """\
- [x] done
- [ ] to do
  1. nested

| a | b |
|---|--:|
| 1 | $x^2$ |

A note.[^1]

[^1]: It stands **here**.

שלום עולם
"""


@pytest.mark.parametrize("shown", ["```", "```pyth", "def f", "return x", "# same\n``"])
async def test_code_stands_in_its_box_while_it_is_written(
    context: BrowserContext, settings: Settings, shown: str
) -> None:
    stop = REPLY.index(shown) + len(shown)
    begin: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    engine = ScriptedEngine(
        lambda _: REPLY, piece_length=1, step=lambda at: begin if at == stop else None
    )
    async with (
        running_stack(settings, engine) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        chat = ChatPage(tab.page)
        await chat.ask("Code, please.")
        reply = chat.replies.last
        written = REPLY[REPLY.index("python\n") + 7 : stop].removesuffix("``")
        await expect(reply.locator(".code pre")).to_have_text(written)
        await expect(reply.locator(".code")).to_have_count(1)
        await expect(reply).not_to_contain_text("`")
        begin.set_result(None)
        await chat.until_idle()
        await expect(reply.locator(".code .language")).to_have_text("python")
        await expect(reply.locator(".code .keyword").first).to_have_text("def")
        await expect(reply.locator("msub")).to_have_count(1)
        await expect(reply.locator("a")).to_have_attribute("href", "https://example.org/a")
        assert await reply.locator(".code code").text_content() == CODE


async def test_what_replies_hold_can_be_reached_and_read(
    context: BrowserContext, settings: Settings
) -> None:
    async with (
        running_stack(settings, ScriptedEngine(lambda _: RICH + REPLY)) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        chat = ChatPage(tab.page)
        await chat.answer("All of it.")
        reply = chat.replies.last
        await expect(reply.get_by_role("checkbox", name="Done")).to_be_checked()
        await expect(reply.get_by_role("table").locator("math")).to_have_count(1)
        await expect(reply.locator("li li")).to_have_text("nested")
        await reply.get_by_role("button", name="Footnote 1").click()
        await expect(reply.locator(".footnote")).to_be_focused()
        hebrew = reply.get_by_text("שלום")
        assert await hebrew.evaluate("node => getComputedStyle(node).direction") == "rtl"
        await tab.page.evaluate(
            "navigator.clipboard.writeText = async (text) => { window.copied = text; }"
        )
        await reply.locator(".code").get_by_role("button", name="Copy").click()
        assert await tab.page.evaluate("window.copied") == CODE
        for scheme in ("light", "dark"):
            await tab.page.emulate_media(color_scheme=scheme)
            assert await tab.serious() == []
        await tab.page.emulate_media(media="print")
        await expect(reply).to_be_visible()
        await expect(chat.prompt).to_be_hidden()
        await expect(tab.page.locator("nav")).to_be_hidden()


async def test_hostile_formulas_and_code_are_only_text(
    context: BrowserContext, settings: Settings
) -> None:
    hostile = "\n\n".join(
        [*(f"\\({formula}\\)" for formula in HOSTILE_FORMULAS)]
        + [f"```{language}\n<img src=x onerror=1></code></pre>\n```" for language in ("html", "js")]
        + ['```"><img src=x>\n1\n```', "The end."]
    )
    async with running_stack(settings, ScriptedEngine(lambda _: hostile)) as stack:
        requests: list[str] = []
        context.on("request", lambda request: requests.append(request.url))
        origin = str(stack.client.base_url).rstrip("/")
        async with open_tab(context, origin) as tab:
            refused: list[str] = []
            tab.page.on("console", lambda message: refused.append(message.text))
            chat = ChatPage(tab.page)
            await chat.answer("Attack.")
            reply = chat.replies.last
            await expect(reply.locator("math")).not_to_have_count(0)
            await expect(reply.locator(".code")).to_have_count(3)
            unwanted = "img, svg, script, iframe, annotation-xml, [style], [href], [onerror]"
            await expect(reply.locator(unwanted)).to_have_count(0)
            await expect(reply).to_contain_text(re.compile("The end"))
        assert all(url.startswith(origin) for url in requests), requests
        assert not [text for text in refused if "Content Security Policy" in text]
