"""What happens on another device, or in another tab, shows here as it is."""

import asyncio
from collections.abc import Callable

import pytest
from playwright.async_api import BrowserContext, Locator, expect

from shared.config import Settings
from tests.scripted import ScriptedEngine
from tests.servers import Valkey, make_settings, running_stack
from tests.web.browser import open_tab
from tests.web.chat_page import ChatPage
from tests.web.test_continue_button import REPLY
from tests.web.test_page_alternatives import alternatives, edit_last
from tests.web.test_personas_page import PIRATE, head, until_noted
from tests.web.test_settings_page import summary, temperature

PERSONA = {"name": "Pirate", "context": PIRATE}


@pytest.mark.parametrize("lists", [True, False])
async def test_settings_follow_what_is_chosen_elsewhere(
    context: BrowserContext, valkey: Valkey, lists: bool
) -> None:
    settings = make_settings(valkey.url, PALAVER_OPEN_LIST=int(lists))
    async with running_stack(settings, ScriptedEngine()) as stack:
        conversation = (await stack.ask("Hello."))["id"]
        address = f"{stack.client.base_url}#{conversation}"
        async with open_tab(context, address) as here, open_tab(context, address) as there:
            for tab in (here, there):
                await expect(ChatPage(tab.page).replies).to_have_count(1)
                # What an event brings is compared with what is shown.
                await expect(tab.page.locator("#conversations [aria-current]")).to_be_visible()
            await there.page.locator("#settings-box summary").click()
            await temperature(there).fill("0.5")
            await temperature(there).press("Enter")
            await expect(summary(here)).to_have_text("Settings: temperature 0.5")
            # Who is typing is not interrupted.
            await here.page.locator("#settings-box summary").click()
            await temperature(here).fill("1.")
            await temperature(there).fill("0.7")
            await temperature(there).press("Enter")
            await expect(summary(here)).to_have_text("Settings: temperature 0.7")
            await expect(temperature(here)).to_have_value("1.")


async def test_instructions_and_persona_follow_what_is_sent_elsewhere(
    context: BrowserContext, settings: Settings
) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        await stack.client.put("/personas/pirate", json=PERSONA)
        conversation = (await stack.ask("Hello."))["id"]
        async with open_tab(context, f"{stack.client.base_url}#{conversation}") as tab:
            chat = ChatPage(tab.page)
            await expect(chat.replies).to_have_count(1)
            await expect(tab.page.locator("#conversations [aria-current]")).to_be_visible()
            await expect(head(tab)).to_be_hidden()
            await stack.ask("Hello again.", id=conversation, context=PIRATE)
            body = {"metadata": {"persona": "Pirate"}}
            await stack.client.patch(f"/conversations/{conversation}", json=body)
            await expect(head(tab)).to_have_text("Speaks as Pirate")
            await expect(tab.page.locator("#persona")).to_have_value(PIRATE)


async def test_a_reply_that_is_continued_elsewhere_grows_behind_its_prompt(
    context: BrowserContext, settings: Settings
) -> None:
    begin: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    engine = ScriptedEngine(lambda _: REPLY, piece_length=3, step=held_at(15, begin))
    async with running_stack(settings, engine) as stack:
        first = await stack.ask("Count.", max_tokens=10)
        body = {"id": first["id"], "continue": True}
        accepted = (await stack.client.post("/jobs", json=body)).json()
        assert accepted["continues"] is True
        async with open_tab(context, f"{stack.client.base_url}#{first['id']}") as tab:
            chat = ChatPage(tab.page)
            await expect(chat.replies.last).to_contain_text(REPLY[:12])
            await expect(chat.users).to_have_text(["Count."])
            begin.set_result(None)
            await expect(chat.replies).to_have_text([REPLY])
            await chat.until_idle()
            await expect(chat.users).to_have_text(["Count."])
            await expect(chat.replies).to_have_count(1)


def held_at(
    token: int, begin: "asyncio.Future[None]"
) -> Callable[[int], "asyncio.Future[None] | None"]:
    return lambda at: begin if at >= token else None


async def test_an_alternative_speaks_as_its_own_persona(
    context: BrowserContext, settings: Settings
) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        await stack.client.put("/personas/pirate", json=PERSONA)
        await stack.client.put("/personas/monk", json={"name": "Monk", "context": "Be silent."})
        async with open_tab(context, str(stack.client.base_url)) as tab:
            chat = ChatPage(tab.page)
            await tab.page.get_by_role("button", name="Pirate").click()
            await chat.answer("Hello.")
            await expect(head(tab)).to_have_text("Speaks as Pirate")
            await tab.page.locator("#persona-box summary").click()
            await tab.page.locator("#persona").fill("Be silent.")
            await edit_last(chat, "Hello there.")
            await expect(alternatives(chat)).to_have_text(["‹2/2›"])
            await expect(head(tab)).to_have_text("Speaks as Monk")
            for arrow, name in (("Previous", "Pirate"), ("Next", "Monk")):
                await tab.page.get_by_role("button", name=f"{arrow} alternative").click()
                await expect(head(tab)).to_have_text(f"Speaks as {name}")
                await until_noted(tab)
                path = f"/conversations/{chat.conversation}"
                shown = (await stack.client.get(path)).json()
                assert shown["metadata"]["persona"] == name


async def test_what_is_done_rarely_is_in_a_menu_on_wide_screens_too(
    context: BrowserContext, settings: Settings
) -> None:
    async with (
        running_stack(settings, ScriptedEngine()) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        chat = ChatPage(tab.page)
        await chat.answer("Hello.")
        await chat.answer("And now?")
        await expect(tab.page.get_by_role("button", name="Export JSON")).to_be_hidden()
        await tab.page.get_by_role("button", name="More", exact=True).click()
        await expect(tab.page.get_by_role("button", name="Export JSON")).to_be_visible()
        assert await tab.serious() == []
        await tab.page.keyboard.press("Escape")
        await chat.rarely("Settings")
        await expect(temperature(tab)).to_be_focused()


async def test_actions_of_earlier_messages_show_when_they_are_wanted(
    context: BrowserContext, settings: Settings
) -> None:
    async with (
        running_stack(settings, ScriptedEngine()) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        chat = ChatPage(tab.page)
        await chat.answer("Hello.")
        await chat.answer("And now?")
        copies = tab.page.locator("#messages").get_by_role("button", name="Copy")
        await expect(copies).to_have_count(4)
        await chat.prompt.hover()
        shown = [await is_seen(copy) for copy in await copies.all()]
        assert shown == [False, False, True, True]
        await chat.users.first.hover()
        await expect(copies.first).to_have_css("opacity", "1")
        await chat.prompt.hover()
        await copies.nth(1).focus()
        await expect(copies.nth(1)).to_have_css("opacity", "1")
        assert not await is_seen(copies.first)


async def is_seen(button: Locator) -> bool:
    opacity: str = await button.evaluate("button => getComputedStyle(button).opacity")
    return opacity == "1"
