"""The chat page as its users see it: what they click, and what they read."""

import asyncio
import re
from typing import Any

import httpx
from playwright.async_api import BrowserContext, Locator, Page, Route, expect

from tests.e2e.processes import Palaver

LONG = "Write a very long story about a dragon and a princess, with many chapters."


class ChatPage:
    """One tab with the page.

    Args:
        page: of Playwright's.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.prompt = page.get_by_label("Your prompt")
        self.send = page.get_by_role("button", name="Send")
        self.stop = page.get_by_role("button", name="Stop")
        self.messages = page.locator("#messages")
        self.users = page.locator(".message.user:visible .text")
        self.replies = page.locator(".message.assistant:visible .text")
        self.conversations = page.locator("#conversations .name")
        self.connection = page.locator("#connection")

    async def ask(self, prompt: str) -> None:
        """Send; returns when the prompt is shown."""
        await self.prompt.fill(prompt)
        if await self.page.evaluate("matchMedia('(pointer: coarse)').matches"):
            await self.send.tap()
        else:
            await self.prompt.press("Enter")
        await expect(self.users.last).to_have_text(prompt)

    async def ask_for_a_long_reply(self) -> None:
        """Ask for one that the model, which may stop after a sentence, cannot end by itself."""

        async def without_an_end(route: Route) -> None:
            body = route.request.post_data_json
            if isinstance(body, dict) and body.get("prompt") == LONG:
                return await route.continue_(post_data=body | {"ignore_eos": True})
            return await route.continue_()

        # Another tab may submit the same prompt once more: its body has to be the same.
        await self.page.context.route("**/jobs", without_an_end)
        await self.ask(LONG)

    async def rarely(self, name: str) -> None:
        """Choose something from the menu of the open conversation."""
        await self.page.get_by_role("button", name="More", exact=True).click()
        menu = self.page.get_by_role("group", name="This conversation")
        await menu.get_by_role("button", name=name).click()

    async def until_idle(self) -> None:
        """Return when nothing is being written any more."""
        await expect(self.send).to_be_visible()

    async def until_writing(self, characters: int = 80) -> str:
        """Some of the reply, while it is being written."""
        await expect(self.replies.last).to_have_text(re.compile(rf"[\s\S]{{{characters},}}"))
        await expect(self.stop).to_be_visible()
        return await self.replies.last.inner_text()

    async def answer(self, prompt: str) -> str:
        """Ask, and wait for the whole reply."""
        await self.ask(prompt)
        await self.until_idle()
        return await self.replies.last.inner_text()

    @property
    def last_reply(self) -> Locator:
        return self.page.locator(".message.assistant:visible").last

    @property
    def last_prompt(self) -> Locator:
        return self.page.locator(".message.user:visible").last

    @property
    def conversation(self) -> int:
        """The id in the address."""
        return int(self.page.url.rpartition("#")[2])


async def keep_unaware(context: BrowserContext) -> None:
    """Pages do not hear what happens elsewhere: the stream that would tell them does not begin."""
    await context.route("**/conversations/events", lambda _: None)


async def stored(palaver: Palaver, conversation: int) -> list[dict[str, Any]]:
    """A conversation's messages."""
    async with httpx.AsyncClient(base_url=palaver.url) as client:
        answer = await client.get(f"/conversations/{conversation}/messages?limit=500")
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["messages"]
        return found


async def until_running(palaver: Palaver, count: int) -> list[int]:
    """The processes of the workers that have something to do, once there are so many."""
    async with httpx.AsyncClient(base_url=palaver.url) as client, asyncio.timeout(30):
        while True:
            workers = (await client.get("/ops/data")).json()["workers"]
            busy = [int(one["worker"].split(":")[1]) for one in workers if one["running"]]
            if workers and len(busy) == count:
                return busy
            await asyncio.sleep(0.05)


def words(text: str) -> list[str]:
    """What Markdown does not change."""
    return re.findall(r"\w+", text)
