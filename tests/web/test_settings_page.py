"""Settings of a conversation on the chat page: kept with it, and sent with each of its prompts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Locator, Route, expect

from shared.config import Settings
from tests.scripted import ScriptedEngine
from tests.servers import Stack, make_settings, running_stack
from tests.web.browser import Tab, open_tab
from tests.web.chat_page import ChatPage
from tests.web.test_looks import DESKTOP, PHONE, picture
from tests.web.test_personas_page import conversation, sticks_out, until_noted

SETTINGS = ("temperature", "max_tokens", "reasoning", "model")


class Sent:
    """What prompts were sent with, beside their text."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []

    async def note(self, route: Route) -> None:
        body = route.request.post_data_json
        assert isinstance(body, dict)
        self.bodies.append({name: body[name] for name in SETTINGS if name in body})
        await route.continue_()


@asynccontextmanager
async def opened(
    context: BrowserContext, settings: Settings, *names: str
) -> AsyncIterator[tuple[Tab, Stack, Sent]]:
    sent = Sent()
    engines = [ScriptedEngine(name=name, fingerprint=name) for name in names or ("scripted",)]
    async with (
        running_stack(settings, *engines) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        await tab.page.route("**/jobs", sent.note)
        await expect(tab.page.locator("#model")).not_to_be_empty()
        yield tab, stack, sent


def temperature(tab: Tab) -> Locator:
    return tab.page.get_by_label("Temperature")


def longest(tab: Tab) -> Locator:
    return tab.page.get_by_label("Longest reply")


def summary(tab: Tab) -> Locator:
    return tab.page.locator("#settings-box summary")


async def choose(tab: Tab, temperature_: str = "", longest_: str = "") -> None:
    """Write into the panel, and close it."""
    await summary(tab).click()
    await temperature(tab).fill(temperature_)
    await longest(tab).fill(longest_)
    await longest(tab).press("Enter")
    await summary(tab).click()


async def test_they_are_the_conversations_own_and_go_with_every_prompt(
    context: BrowserContext, settings: Settings
) -> None:
    async with opened(context, settings) as (tab, stack, sent):
        chat = ChatPage(tab.page)
        await choose(tab, "0,2", "40")
        await tab.page.get_by_label("Thinking").select_option("low")
        await expect(summary(tab)).to_have_text("Settings: temperature 0.2 · at most 40 tokens")
        await chat.answer("One.")
        await until_noted(tab)
        chosen = {"temperature": "0.2", "max_tokens": "40", "reasoning": "low"}
        assert (await conversation(tab, stack))["metadata"] == chosen
        await tab.page.reload()
        await expect(summary(tab)).to_contain_text("temperature 0.2")
        await chat.answer("Two.")
        await chat.last_reply.get_by_role("button", name="Retry").click()
        await expect(tab.page.locator(".alternatives")).to_be_visible()
        # The next one begins with the server's own; how much to think is offered again.
        await tab.page.get_by_role("button", name="New chat").click()
        await expect(summary(tab)).to_have_text("Settings")
        await expect(tab.page.get_by_label("Thinking")).to_have_value("low")
        await chat.answer("Three.")
        first = {"temperature": 0.2, "max_tokens": 40, "reasoning": "low"}
        assert sent.bodies == [first, first, first, {"reasoning": "low"}]
        await chat.conversations.last.click()
        await expect(summary(tab)).to_contain_text("at most 40 tokens")


async def test_other_browsers_have_them_too(browser: Browser, settings: Settings) -> None:
    one, other = await browser.new_context(), await browser.new_context()
    async with opened(one, settings, "A", "B") as (tab, stack, _):
        chat = ChatPage(tab.page)
        await chat.answer("One.")
        await choose(tab, "1.5")
        await tab.page.get_by_role("combobox", name="Model").select_option("B")
        await until_noted(tab)
        assert (await conversation(tab, stack))["metadata"] == {"temperature": "1.5", "model": "B"}
        sent = Sent()
        async with open_tab(other, tab.page.url) as second:
            await second.page.route("**/jobs", sent.note)
            await expect(summary(second)).to_contain_text("temperature 1.5")
            await expect(second.page.get_by_role("combobox", name="Model")).to_have_value("B")
            await ChatPage(second.page).answer("Two.")
        assert sent.bodies == [{"temperature": 1.5, "model": "B"}]
    await one.close()
    await other.close()


async def test_they_are_changed_and_taken_back(context: BrowserContext, settings: Settings) -> None:
    async with opened(context, settings) as (tab, stack, sent):
        chat = ChatPage(tab.page)
        await chat.answer("One.")
        await choose(tab, "0.5")
        await chat.answer("Two.")
        await summary(tab).click()
        await tab.page.get_by_role("button", name="Back to the server's own").click()
        await expect(temperature(tab)).to_have_value("")
        await expect(temperature(tab)).to_be_focused()
        await chat.answer("Three.")
        await until_noted(tab)
        assert (await conversation(tab, stack))["metadata"] == {}
        assert sent.bodies == [{}, {"temperature": 0.5}, {}]


async def test_what_cannot_be_is_refused_at_once_and_never_sent(
    context: BrowserContext, settings: Settings
) -> None:
    async with opened(context, settings) as (tab, _, sent):
        chat = ChatPage(tab.page)
        await choose(tab, "0.5")
        await summary(tab).click()
        # Enter takes it, and sends no prompt.
        await chat.prompt.fill("Hello.")
        await temperature(tab).fill("5")
        await temperature(tab).press("Enter")
        hint = tab.page.locator("#settings-hint")
        await expect(hint).to_have_text("Temperature is a number from 0 to 2.")
        await expect(temperature(tab)).to_have_value("0.5")
        assert await tab.serious() == []
        await longest(tab).fill("many")
        await longest(tab).press("Tab")
        await expect(hint).to_have_text("Longest reply is a number of tokens.")
        await expect(longest(tab)).to_have_value("")
        assert sent.bodies == []
        await chat.prompt.press("Enter")
        await expect(chat.replies.last).to_have_text("You said: Hello.")
        assert sent.bodies == [{"temperature": 0.5}]


async def test_a_reply_longer_than_the_server_allows_is_explained(
    context: BrowserContext, settings: Settings
) -> None:
    settings = make_settings(str(settings.redis_url), PALAVER_MAX_TOKENS=10)
    async with opened(context, settings) as (tab, _, sent):
        chat = ChatPage(tab.page)
        await choose(tab, longest_="81")
        await chat.prompt.fill("Hello.")
        await chat.prompt.press("Enter")
        await expect(chat.connection).to_have_text(
            "Not sent: Longest reply must be at most 80 on this server. Change it in the settings."
        )
        # Nothing is lost: neither the prompt nor the settings.
        await expect(chat.prompt).to_have_value("Hello.")
        await choose(tab, longest_="80")
        await chat.prompt.press("Enter")
        await expect(chat.replies.last).to_have_text("You said: Hello.")
        assert sent.bodies == [{"max_tokens": 81}, {"max_tokens": 80}]


async def test_what_was_chosen_for_a_new_one_survives_a_reload(
    context: BrowserContext, settings: Settings
) -> None:
    async with opened(context, settings) as (tab, stack, sent):
        await choose(tab, "0.5")
        await tab.page.reload()
        await expect(summary(tab)).to_contain_text("temperature 0.5")
        # Another tab begins another one.
        async with open_tab(context, str(stack.client.base_url)) as other:
            await expect(other.page.locator("#model")).not_to_be_empty()
            await expect(summary(other)).to_have_text("Settings")
        await ChatPage(tab.page).answer("Hello.")
        assert sent.bodies == [{"temperature": 0.5}]


async def test_what_the_server_has_not_stored_is_stored_later(
    context: BrowserContext, settings: Settings
) -> None:
    async with opened(context, settings) as (tab, stack, _):
        chat = ChatPage(tab.page)
        await chat.answer("Hello.")

        async def refuse(route: Route) -> None:
            if route.request.method == "PATCH":
                await route.fulfill(status=409, json={"code": "refused", "detail": "not now"})
            else:
                await route.continue_()

        await tab.page.route("**/conversations/*", refuse)
        async with tab.page.expect_response(lambda answer: answer.request.method == "PATCH"):
            await choose(tab, "0.5")
        assert (await conversation(tab, stack))["metadata"] == {}
        await tab.page.unroute("**/conversations/*")
        await tab.page.reload()
        await expect(summary(tab)).to_contain_text("temperature 0.5")
        await until_noted(tab)
        assert (await conversation(tab, stack))["metadata"] == {"temperature": "0.5"}


async def test_a_prompt_that_was_never_heard_of_takes_its_settings_along(
    context: BrowserContext, settings: Settings
) -> None:
    async with opened(context, settings) as (tab, stack, _):
        chat = ChatPage(tab.page)
        await choose(tab, "0.5")
        await tab.page.get_by_role("button", name="Storyteller").click()
        await tab.page.route("**/jobs", lambda route: route.abort())
        await chat.ask("Hello.")
        await tab.page.unroute("**/jobs")
        await tab.page.reload()
        await expect(chat.replies.last).to_have_text("You said: Hello.")
        await until_noted(tab)
        shown = await conversation(tab, stack)
        assert shown["metadata"] == {"temperature": "0.5", "persona": "Storyteller"}
        await expect(tab.page.locator("#persona-head")).to_have_text("Speaks as Storyteller")


async def test_a_first_turn_that_comes_to_nothing_gives_the_settings_back(
    context: BrowserContext, settings: Settings
) -> None:
    held: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    engine = ScriptedEngine(slots=1, step=lambda _: held)
    async with (
        running_stack(settings, engine) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        sent = Sent()
        await tab.page.route("**/jobs", sent.note)
        chat = ChatPage(tab.page)
        first = (await stack.client.post("/jobs", json={"prompt": "First."})).json()
        await choose(tab, "0.5")
        await chat.ask("Hello.")
        await expect(chat.last_reply).to_contain_text("Next in the queue")
        await until_noted(tab)
        await chat.stop.click()
        await expect(chat.last_reply).to_contain_text("Stopped.")
        await expect(summary(tab)).to_contain_text("temperature 0.5")
        held.set_result(None)
        await stack.client.delete(f"/jobs/{first['job']}")
        await chat.answer("Again.")
        await until_noted(tab)
        assert (await conversation(tab, stack))["metadata"] == {"temperature": "0.5"}
        assert sent.bodies == [{"temperature": 0.5}] * 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "device",
    [DESKTOP, PHONE, PHONE | {"viewport": {"width": 320, "height": 568}}],
    ids=["desktop", "phone", "smallest"],
)
async def test_everybody_can_use_them(
    browser: Browser, settings: Settings, device: dict[str, Any], scheme: str
) -> None:
    context = await browser.new_context(**device | {"color_scheme": scheme})
    async with opened(context, settings, "A", "B") as (tab, _, _sent):
        await summary(tab).click()
        await temperature(tab).fill("0.2")
        await longest(tab).fill("2000")
        await longest(tab).press("Enter")
        await expect(summary(tab)).to_contain_text("at most 2,000 tokens")
        await picture(tab, f"settings-{device['viewport']['width']}-{scheme}")
        assert await tab.serious() == []
        assert await sticks_out(tab) <= 0
        await summary(tab).click()
        await picture(tab, f"settings-closed-{device['viewport']['width']}-{scheme}")
        assert await sticks_out(tab) <= 0
        await expect(tab.page.get_by_label("Thinking")).to_be_in_viewport(ratio=1)
        await expect(ChatPage(tab.page).prompt).to_be_in_viewport(ratio=1)
    await context.close()
