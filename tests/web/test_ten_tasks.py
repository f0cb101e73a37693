"""Ten things that somebody new does on a phone, by the names of what is in sight."""

import asyncio
import json
from pathlib import Path
from typing import Literal

from playwright.async_api import Browser, Locator, Page, expect

from shared.config import Settings
from tests.scripted import ScriptedEngine, last_prompt
from tests.servers import running_stack
from tests.web.browser import open_tab
from tests.web.test_looks import PHONE

Role = Literal["button", "link", "searchbox", "textbox"]

STORY = "Once upon a time there was a dragon who liked tea. " * 3
HELD_AT = 60
"""Tokens of the story after which it waits to be stopped."""


class Visitor:
    """Somebody with one finger: taps what can be seen by its role and name, types, and reads."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.taps = 0

    def see(self, role: Role, name: str) -> Locator:
        return self.page.get_by_role(role, name=name, exact=True)

    async def tap(self, role: Role, name: str) -> None:
        seen = self.see(role, name)
        await expect(seen).to_be_in_viewport()
        await seen.tap()
        self.taps += 1

    async def type(self, text: str) -> None:
        await self.page.keyboard.type(text)

    async def ask(self, prompt: str) -> None:
        await self.tap("textbox", "Your prompt")
        await self.type(prompt)
        await self.tap("button", "Send")

    async def read(self, text: str) -> None:
        """Return when a reply with this text is in sight."""
        await expect(self.page.locator(".message.assistant:visible").last).to_contain_text(text)

    def spent(self) -> int:
        """Taps since it was asked last."""
        taps, self.taps = self.taps, 0
        return taps


async def test_ten_tasks_take_few_taps(
    browser: Browser, settings: Settings, tmp_path: Path
) -> None:
    held: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    engine = ScriptedEngine(
        written,
        piece_length=5,
        step=lambda at: held if at >= HELD_AT and not held.done() else None,
    )
    file = tmp_path / "dragons.json"
    async with running_stack(settings, engine) as stack:
        address = str(stack.client.base_url)
        phone = await browser.new_context(**PHONE)
        async with open_tab(phone, address) as tab:
            user = Visitor(tab.page)
            await ask(user)
            await stop(user)
            held.set_result(None)
            await go_on(user)
            await retry_and_go_back(user)
            await rename(user)
            await choose_a_persona(user)
            await find(user)
            await read_on_a_second_device(browser, address)
            await take_away(user, file)
            await bring_back(user, file)
        await phone.close()
    saved = json.loads(file.read_text(encoding="utf-8"))
    assert [len(each["messages"]) for each in saved["alternatives"]] == [2]


async def ask(user: Visitor) -> None:
    await user.ask("Tell me a story.")
    await user.read("Once upon a time")
    assert user.spent() == 2


async def stop(user: Visitor) -> None:
    await user.tap("button", "Stop")
    await user.read("Stopped.")
    assert user.spent() == 1


async def go_on(user: Visitor) -> None:
    await user.tap("button", "Continue")
    await user.read(STORY.strip())
    await expect(user.see("button", "Send")).to_be_in_viewport()
    assert user.spent() == 1


async def retry_and_go_back(user: Visitor) -> None:
    await user.tap("button", "Retry")
    await expect(user.page.get_by_text("2/2")).to_be_in_viewport()
    await user.tap("button", "Previous alternative")
    await expect(user.page.get_by_text("1/2")).to_be_in_viewport()
    assert user.spent() == 2


async def rename(user: Visitor) -> None:
    await user.tap("button", "Chats")
    await user.tap("button", "Actions for Tell me a story.")
    await user.tap("button", "Rename")
    await user.type("Dragons")
    await user.page.keyboard.press("Enter")
    await expect(user.see("link", "Dragons")).to_be_in_viewport()
    assert user.spent() == 3


async def choose_a_persona(user: Visitor) -> None:
    await user.tap("button", "New chat")
    await user.tap("button", "Storyteller")
    await user.ask("Good morning.")
    await user.read("You said: Good morning.")
    await expect(user.page.get_by_text("Speaks as Storyteller")).to_be_visible()
    assert user.spent() == 4


async def find(user: Visitor) -> None:
    await user.tap("button", "Chats")
    await user.tap("searchbox", "Search conversations")
    await user.type("liked tea")
    await user.tap("link", "Dragons")
    await user.read("who liked tea")
    assert user.spent() == 3


async def read_on_a_second_device(browser: Browser, address: str) -> None:
    phone = await browser.new_context(**PHONE)
    async with open_tab(phone, address) as tab:
        user = Visitor(tab.page)
        await user.tap("button", "Chats")
        await user.tap("link", "Dragons")
        await user.read("who liked tea")
        assert user.spent() == 2
    await phone.close()


async def take_away(user: Visitor, file: Path) -> None:
    async with user.page.expect_download() as download:
        await user.tap("button", "More")
        await user.tap("button", "Export JSON")
    await (await download.value).save_as(file)
    assert user.spent() == 2


async def bring_back(user: Visitor, file: Path) -> None:
    await user.tap("button", "Chats")
    await user.tap("button", "All conversations")
    await user.tap("button", "Import…")
    async with user.page.expect_file_chooser() as chooser:
        await user.tap("button", "Choose files…")
    await (await chooser.value).set_files(file)
    await expect(user.page.get_by_text("1 conversation imported.")).to_be_in_viewport()
    await user.tap("button", "Close")
    assert user.spent() == 5


def written(prompt: str) -> str:
    said = last_prompt(prompt)
    return STORY if said == "Tell me a story." else f"You said: {said}"
