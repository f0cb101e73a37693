"""The empty page, waiting and errors: what they say to people who have read nothing."""

import asyncio
import json
import re
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Locator, Page, expect

from shared.config import Settings
from shared.errors import TurnFailed
from tests.scripted import ScriptedEngine
from tests.servers import make_settings, running_stack, running_worker
from tests.web.browser import Tab, open_tab
from tests.web.chat_page import ChatPage
from tests.web.test_looks import DESKTOP, PHONE, picture

SMALLEST: dict[str, Any] = PHONE | {"viewport": {"width": 320, "height": 568}}
LOOKS = {
    "light": DESKTOP | {"color_scheme": "light"},
    "dark": DESKTOP | {"color_scheme": "dark"},
    "phone": PHONE,
    "smallest": SMALLEST,
}


def demo_engine() -> ScriptedEngine:
    engine = ScriptedEngine(name="SmolLM2-135M-Instruct")
    engine.model = replace(engine.model, is_demo=True)
    return engine


def beginnings(page: Page) -> Locator:
    return page.get_by_role("list", name="Prompts to begin with").get_by_role("button")


async def times_shown(page: Page, text: str) -> int:
    """How often somebody who looks at the page reads this."""
    shown = await page.locator("body").inner_text()
    spoken = await page.locator("#announcer").inner_text()
    return shown.count(text) - spoken.count(text)


@pytest.mark.parametrize("look", LOOKS)
async def test_the_empty_page_fits_and_can_be_used_by_everybody(
    browser: Browser, settings: Settings, look: str
) -> None:
    context = await browser.new_context(**LOOKS[look])
    async with (
        running_stack(settings, demo_engine()) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        await expect(beginnings(tab.page)).to_have_count(3)
        await picture(tab, f"empty-{look}")
        assert await tab.serious() == []
        width = await tab.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert width <= 0, "nothing sticks out at the side"
        await expect(tab.page.get_by_role("heading", level=2)).to_be_in_viewport(ratio=1)
    await context.close()


async def test_it_names_the_model_and_calls_a_demo_one(
    context: BrowserContext, settings: Settings
) -> None:
    async with (
        running_stack(settings, demo_engine()) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        answers = tab.page.locator("#answers")
        await expect(answers).to_have_text("SmolLM2-135M-Instruct answers: a demo model.")
        for_demo = await beginnings(tab.page).all_inner_texts()
        async with running_worker(settings, ScriptedEngine(name="B", fingerprint="B")):
            await until_text(tab, "2 models can answer. Choose one below.")
            await tab.page.get_by_role("combobox", name="Model").select_option("B")
            await expect(answers).to_have_text("B answers.")
            await expect(tab.page.locator("#demo")).to_be_hidden()
            assert await beginnings(tab.page).all_inner_texts() != for_demo


async def until_text(tab: Tab, text: str) -> None:
    """Return when the empty page says so; it looks again when it comes into sight."""
    async with asyncio.timeout(30):
        while await tab.page.locator("#answers").inner_text() != text:
            await tab.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
            await asyncio.sleep(0.1)


async def test_a_tap_is_enough_to_begin(browser: Browser, settings: Settings) -> None:
    context = await browser.new_context(**PHONE)
    async with (
        running_stack(settings, ScriptedEngine()) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        chat = ChatPage(tab.page)
        await chat.prompt.fill("A draft.")
        prompt = await beginnings(tab.page).first.inner_text()
        persona = tab.page.get_by_role("button", name="Storyteller")
        await persona.tap()
        await expect(persona).to_have_attribute("aria-pressed", "true")
        await expect(tab.page.get_by_text("Persona: Storyteller")).to_be_visible()
        await beginnings(tab.page).first.tap()
        await expect(chat.replies.last).to_have_text(f"You said: {prompt}")
        await expect(tab.page.locator("#welcome")).to_be_hidden()
        await expect(chat.prompt).to_have_value("A draft.")
        found = (await stack.client.get(f"/conversations/{chat.conversation}")).json()
        assert found["context"].startswith("You are a storyteller.")
    await context.close()


async def test_a_persona_can_be_taken_back(context: BrowserContext, settings: Settings) -> None:
    async with (
        running_stack(settings, ScriptedEngine()) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        teacher = tab.page.get_by_role("button", name="Patient teacher")
        editor = tab.page.get_by_role("button", name="Careful editor")
        await teacher.click()
        await editor.click()
        await expect(teacher).to_have_attribute("aria-pressed", "false")
        await expect(editor).to_have_attribute("aria-pressed", "true")
        # With the keyboard alone.
        await editor.press("Space")
        await expect(editor).to_have_attribute("aria-pressed", "false")
        await expect(tab.page.locator("#persona")).to_have_value("")
        await tab.page.get_by_text("Persona", exact=True).click()
        await tab.page.get_by_label("Who the bot is").fill("You are me.")
        await expect(tab.page.get_by_text("Persona: You are me.")).to_be_visible()


async def test_without_a_worker_it_says_once_what_to_do_and_goes_on_by_itself(
    context: BrowserContext, settings: Settings
) -> None:
    async with (
        running_stack(settings) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        chat = ChatPage(tab.page)
        told = "No worker is running. On the server: make run"
        await expect(tab.page.locator("#answers")).to_have_text(told)
        await expect(beginnings(tab.page)).to_have_count(0)
        assert await tab.serious() == []
        assert await times_shown(tab.page, "No worker") == 1
        await chat.ask("Hello.")
        await expect(chat.last_reply).to_contain_text(f"{told}. Trying again …")
        assert await times_shown(tab.page, "No worker") == 1
        assert await tab.serious() == []
        async with running_worker(settings, ScriptedEngine()):
            await expect(chat.replies.last).to_have_text("You said: Hello.")
            await expect(tab.page.locator("#model")).to_contain_text("scripted")
            assert await times_shown(tab.page, "No worker") == 0


async def test_a_prompt_that_waits_for_nobody_says_so(
    context: BrowserContext, settings: Settings
) -> None:
    settings = make_settings(
        str(settings.redis_url),
        PALAVER_NAMESPACE=settings.namespace,
        PALAVER_LEASE=3,
        PALAVER_GRACE=1,
    )
    held: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    busy = ScriptedEngine(slots=1, step=lambda _: held)
    async with running_stack(settings) as stack, AsyncExitStack() as workers:
        await workers.enter_async_context(running_worker(settings, busy))
        async with open_tab(context, str(stack.client.base_url)) as tab:
            chat = ChatPage(tab.page)
            await expect(beginnings(tab.page)).to_have_count(3)
            first = (await stack.client.post("/jobs", json={"prompt": "First."})).json()
            await chat.ask("Hello.")
            await expect(chat.last_reply).to_contain_text("Next in the queue")
            await workers.aclose()
            await expect(chat.last_reply).to_contain_text("No worker is running.")
            assert await times_shown(tab.page, "No worker") == 1
            await stack.client.delete(f"/jobs/{first['job']}")
            async with running_worker(settings, ScriptedEngine(slots=1)):
                await expect(chat.replies.last).to_have_text("You said: Hello.")
                await chat.until_idle()


async def test_a_refusal_says_what_to_do_and_no_jargon(
    context: BrowserContext, settings: Settings
) -> None:
    async with (
        running_stack(settings, ScriptedEngine()) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        chat = ChatPage(tab.page)
        refusal = {"status": 409, "code": "conversation_busy", "detail": "turns are pending"}
        body = json.dumps(refusal)
        await tab.page.route("**/jobs", lambda route: route.fulfill(status=409, body=body))
        await chat.prompt.fill("Hello.")
        await chat.prompt.press("Enter")
        told = "Too many prompts are waiting in this conversation. "
        await expect(chat.connection).to_have_text(
            f"Not sent: {told}Wait for a reply, then send it again."
        )
        assert await times_shown(tab.page, "Too many") == 1


async def plain_words(page: Page, **error: Any) -> str:
    """What the page says about an error of the server's."""
    script = "(error) => import('/web/plain.js').then((plain) => plain.inPlainWords(error))"
    words: str = await page.evaluate(script, error)
    return words


async def test_every_failure_has_plain_words(context: BrowserContext, settings: Settings) -> None:
    failures = {TurnFailed.code, *(kind.code for kind in TurnFailed.__subclasses__())}
    async with (
        running_stack(settings) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        # What is unusable only the server can say.
        for code in sorted(failures - {"unusable_options"}):
            words = await plain_words(tab.page, code=code, detail="the internal reason")
            assert re.fullmatch(r"[A-Z].*\. [A-Z].*\.", words), words
            assert "internal reason" not in words
        words = await plain_words(
            tab.page, code="context_length_exceeded", prompt_tokens=5000, budget=3500
        )
        assert "5,000 tokens of 3,500" in words
        assert await plain_words(tab.page, code="toString", detail="new") == "new."
