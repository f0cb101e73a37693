"""A hit of the search leads to the message that was found."""

from playwright.async_api import Browser, BrowserContext, Locator, Page, expect

from shared.config import Settings
from tests.web.chat_page import ChatPage
from tests.web.test_listed_conversations import begun, opened, row
from tests.web.test_looks import PHONE

SOUGHT = 3
"""The number of the message that is looked for."""


def talk(count: int) -> list[str]:
    """So many messages, long enough to fill many screens; one of them has a dragon."""
    messages = [f"Message {number}. " + "Words. " * 40 for number in range(1, count + 1)]
    messages[SOUGHT - 1] += "A dragon."
    return messages


async def find(page: Page, text: str) -> None:
    await page.get_by_role("searchbox", name="Search conversations").fill(text)


def hit(page: Page, number: int) -> Locator:
    """The hit that leads to a message of this number."""
    return page.locator(f'#conversations .name[href$="/{number}"]')


def message(page: Page, number: int) -> Locator:
    return page.locator(".message", has_text=f"Message {number}.")


async def expect_shown(page: Page, number: int) -> None:
    await expect(message(page, number)).to_be_focused()
    await expect(message(page, number)).to_be_in_viewport()
    # Also when all of them have their final height.
    await expect(page.locator(".message.assistant .text > p").last).to_be_attached()
    await expect(message(page, number)).to_be_in_viewport()


async def test_a_hit_opens_its_conversation_at_the_message(
    context: BrowserContext, settings: Settings
) -> None:
    async with opened(context, settings, 2) as (tab, stack, _):
        chat = ChatPage(tab.page)
        long = await begun(stack, "A long talk", *talk(200))
        await begun(stack, "A dragon", "Hello.", "Hi.")
        await find(tab.page, "dragon")
        await hit(tab.page, SOUGHT).click()
        await expect_shown(tab.page, SOUGHT)
        assert chat.conversation == long
        # The open one is not loaded again: what is shown stays.
        await find(tab.page, "message 181")
        await hit(tab.page, 181).click()
        await expect_shown(tab.page, 181)
        assert chat.conversation == long
        # Where the title has it, no message does.
        await find(tab.page, "dragon")
        await row(tab.page, "A dragon").locator(".name").click()
        await expect(chat.users).to_have_text(["Hello."])
        await tab.page.go_back()
        await expect(message(tab.page, 200)).to_be_in_viewport()


async def test_an_address_may_name_a_message(context: BrowserContext, settings: Settings) -> None:
    async with opened(context, settings, 0) as (tab, stack, _):
        address = str(stack.client.base_url).rstrip("/")
        long = await begun(stack, "A long talk", *talk(80))
        for number in (SOUGHT, 79):
            await tab.page.goto(f"{address}/#{long}/{number}")
            await expect_shown(tab.page, number)
            await tab.page.goto("about:blank")
        # One that is gone, or never was.
        await tab.page.goto(f"{address}/#{long}/900")
        await expect(message(tab.page, 80)).to_be_in_viewport()


async def test_on_a_phone_a_hit_takes_the_place_of_the_drawer(
    browser: Browser, settings: Settings
) -> None:
    context = await browser.new_context(**PHONE)
    async with opened(context, settings, 1, "/#{}") as (tab, stack, ids):
        await begun(stack, "A long talk", *talk(80))
        drawer = tab.page.get_by_role("navigation", name="Conversations")
        await tab.page.get_by_role("button", name="Chats").tap()
        await find(tab.page, "dragon")
        await hit(tab.page, SOUGHT).tap()
        await expect(drawer).to_be_hidden()
        await expect_shown(tab.page, SOUGHT)
        await tab.page.go_back()
        await expect(tab.page).to_have_url(f"{str(stack.client.base_url).rstrip('/')}/#{ids[0]}")
        await expect(tab.page.locator("#title")).to_have_text("Number 0")
        await expect(drawer).to_be_hidden()
    await context.close()
