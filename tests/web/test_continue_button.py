"""A reply that was cut or stopped is gone on with by a button, in its place."""

from playwright.async_api import BrowserContext, expect

from shared.config import Settings
from tests.scripted import ScriptedEngine
from tests.servers import running_stack
from tests.web.browser import open_tab
from tests.web.chat_page import ChatPage, keep_unaware
from tests.web.test_settings_page import choose

REPLY = "One, two, three, four, five, six."


def engine() -> ScriptedEngine:
    return ScriptedEngine(lambda _: REPLY, piece_length=3)


async def test_a_reply_that_was_cut_grows_in_its_place(
    context: BrowserContext, settings: Settings
) -> None:
    async with (
        running_stack(settings, engine()) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        chat = ChatPage(tab.page)
        await choose(tab, longest_="10")
        await chat.answer("Count.")
        again = tab.page.get_by_role("button", name="Continue")
        for end in (20, 30):
            await again.click()
            await expect(chat.replies).to_have_text([REPLY[:end]])
            await chat.until_idle()
        await expect(chat.users).to_have_text(["Count."])
        assert await tab.serious() == []
        # What is shown is what is stored, and it is still cut.
        await tab.page.reload()
        await expect(chat.replies).to_have_text([REPLY[:30]])
        await again.click()
        await expect(chat.replies).to_have_text([REPLY])
        await chat.until_idle()
        await expect(again).to_have_count(0)
        messages = await stack.client.get(f"/conversations/{chat.conversation}/messages")
        assert [one["content"] for one in messages.json()["messages"]] == ["Count.", REPLY]


async def test_a_whole_reply_has_no_such_button(
    context: BrowserContext, settings: Settings
) -> None:
    async with (
        running_stack(settings, engine()) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        chat = ChatPage(tab.page)
        await chat.answer("Count.")
        await expect(tab.page.get_by_role("button", name="Retry")).to_have_count(1)
        await expect(tab.page.get_by_role("button", name="Continue")).to_have_count(0)


async def test_what_cannot_be_continued_any_more_is_told(
    context: BrowserContext, settings: Settings
) -> None:
    """Another device has said something since, and the page has not heard of it yet."""
    await keep_unaware(context)
    async with (
        running_stack(settings, engine()) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        chat = ChatPage(tab.page)
        await choose(tab, longest_="10")
        await chat.answer("Count.")
        body = {"id": chat.conversation, "continue": True, "max_tokens": 70}
        assert (await stack.client.post("/", json=body)).status_code == 200
        await tab.page.get_by_role("button", name="Continue").click()
        await expect(tab.page.locator("#connection")).to_contain_text("Not sent")
        await expect(chat.replies).to_have_text([REPLY[:10]])
        await expect(chat.page.locator("#prompt")).to_have_value("")
