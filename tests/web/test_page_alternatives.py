"""What edits and retries replace stays within reach: ‹ 2/3 › at the prompt."""

import httpx
from playwright.async_api import BrowserContext, Locator, expect

from shared.config import Settings
from tests.scripted import ScriptedEngine
from tests.servers import running_stack
from tests.web.browser import open_tab
from tests.web.chat_page import ChatPage, keep_unaware


def alternatives(chat: ChatPage) -> Locator:
    return chat.page.locator(".alternatives")


async def edit_last(chat: ChatPage, prompt: str) -> None:
    await chat.last_prompt.get_by_role("button", name="Edit").click()
    await chat.answer(prompt)


async def test_each_alternative_comes_back_with_what_followed(
    context: BrowserContext, settings: Settings
) -> None:
    async with (
        running_stack(settings, ScriptedEngine()) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        chat = ChatPage(tab.page)
        await chat.answer("Hello.")
        await chat.answer("One.")
        await expect(alternatives(chat)).to_have_count(0)
        await edit_last(chat, "Two.")
        await expect(alternatives(chat)).to_have_text(["‹2/2›"])
        await edit_last(chat, "Three.")
        await expect(alternatives(chat)).to_have_text(["‹3/3›"])
        await chat.answer("And then?")

        earlier = tab.page.get_by_role("button", name="Previous alternative")
        later = tab.page.get_by_role("button", name="Next alternative")
        await expect(later).to_be_disabled()
        assert await tab.serious() == []
        await earlier.click()
        await expect(chat.users).to_have_text(["Hello.", "Two."])
        await expect(earlier).to_be_focused()
        await tab.page.keyboard.press("Enter")
        await expect(chat.users).to_have_text(["Hello.", "One."])
        await expect(chat.replies.last).to_have_text("You said: One.")
        await expect(later).to_be_focused()
        await tab.page.reload()
        await expect(alternatives(chat)).to_have_text(["‹1/3›"])
        await later.click()
        await expect(alternatives(chat)).to_have_text(["‹2/3›"])
        await later.click()
        await expect(chat.users).to_have_text(["Hello.", "Three.", "And then?"])
        assert await chat.answer("Done.") == "You said: Done."


async def test_an_alternative_that_is_gone_shows_what_stands(
    context: BrowserContext, settings: Settings
) -> None:
    await keep_unaware(context)
    async with (
        running_stack(settings, ScriptedEngine()) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        chat = ChatPage(tab.page)
        await chat.answer("One.")
        await edit_last(chat, "Two.")
        await expect(alternatives(chat)).to_have_text(["‹2/2›"])
        await forget_alternatives(stack.client, chat.conversation, settings.alternatives)
        await tab.page.get_by_role("button", name="Previous alternative").click()
        await expect(chat.connection).to_contain_text("there is no such alternative")
        await expect(chat.users).to_have_text(["Elsewhere."])
        await chat.answer("Still here.")


async def forget_alternatives(client: httpx.AsyncClient, conversation: int, kept: int) -> None:
    """Replace the prompt elsewhere until what stood first is not kept any more."""
    for _ in range(kept + 1):
        body = {"id": conversation, "prompt": "Elsewhere.", "replace_from": 1}
        assert (await client.post("/", json=body)).status_code == 200
