"""The list at the side of the chat page: the server's own, the same in every browser."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Browser, BrowserContext, Locator, Page, Request, Route, expect

from shared.config import Settings
from tests.scripted import ScriptedEngine
from tests.servers import Stack, running_stack
from tests.web.browser import Tab, open_tab
from tests.web.chat_page import ChatPage
from tests.web.test_looks import LOOKS

PAGE = 50


@asynccontextmanager
async def opened(
    context: BrowserContext, settings: Settings, count: int, path: str = ""
) -> AsyncIterator[tuple[Tab, Stack, list[int]]]:
    """A tab of a server with so many conversations, and their ids: the oldest first."""
    async with running_stack(settings, ScriptedEngine()) as stack:
        ids = [await begun(stack, f"Number {n}") for n in range(count)]
        address = str(stack.client.base_url).rstrip("/")
        async with open_tab(context, address + path.format(*ids)) as tab:
            await expect(ChatPage(tab.page).conversations).to_have_count(min(count, PAGE))
            yield tab, stack, ids


async def begun(stack: Stack, title: str, *contents: str) -> int:
    """An imported conversation."""
    roles = ("user", "assistant")
    messages = [
        {"role": roles[place % 2], "content": content} for place, content in enumerate(contents)
    ]
    answer = await stack.client.post("/conversations", json={"title": title, "messages": messages})
    assert answer.status_code == 201, answer.text
    conversation_id: int = answer.json()["id"]
    return conversation_id


async def shown(stack: Stack, conversation_id: int) -> dict[str, Any]:
    answer = await stack.client.get(f"/conversations/{conversation_id}")
    assert answer.status_code == 200, answer.text
    state: dict[str, Any] = answer.json()
    return state


async def is_there(stack: Stack, conversation_id: int) -> bool:
    return (await stack.client.get(f"/conversations/{conversation_id}")).status_code == 200


def row(page: Page, title: str) -> Locator:
    name = page.locator(".name", has_text=re.compile(f"^{re.escape(title)}$"))
    return page.locator("#conversations li", has=name)


async def act(page: Page, title: str, action: str) -> None:
    """Open a row's actions and choose one."""
    await page.get_by_role("button", name=f"Actions for {title}", exact=True).click()
    await row(page, title).get_by_role("button", name=action, exact=True).click()


def pages_of(requests: list[Request]) -> list[str | None]:
    """The `before` of each page of the list that was loaded; not of the pinned ones alone."""
    listings = [urlsplit(request.url) for request in requests]
    wanted = [parse_qs(url.query) for url in listings if url.path == "/conversations"]
    return [query.get("before", [None])[0] for query in wanted if "pinned" not in query]


async def test_the_list_is_loaded_page_by_page_as_one_scrolls(
    context: BrowserContext, settings: Settings
) -> None:
    requests: list[Request] = []
    context.on("request", lambda request: requests.append(request))
    async with opened(context, settings, 120) as (tab, _, _ids):
        chat = ChatPage(tab.page)
        assert pages_of(requests) == [None]
        for count in (100, 120):
            await chat.conversations.last.scroll_into_view_if_needed()
            await expect(chat.conversations).to_have_count(count)
        await expect(chat.conversations.last).to_have_text("Number 0")
        await expect(chat.conversations.first).to_have_text("Number 119")
        await expect(tab.page.locator("#conversations h2")).to_have_text(["Today"])
        loaded = pages_of(requests)
        assert len(loaded) == len(set(loaded)) == 3, "one request a page"


async def test_a_title_is_changed_with_the_keyboard_alone(
    context: BrowserContext, settings: Settings
) -> None:
    async with opened(context, settings, 3) as (tab, stack, ids):
        chat = ChatPage(tab.page)
        await chat.conversations.first.focus()
        for key in ("ArrowDown", "Tab", "Enter", "Tab", "Enter"):
            await tab.page.keyboard.press(key)
        title = tab.page.get_by_role("textbox", name="Title")
        await expect(title).to_have_value("Number 1")
        await expect(title).to_be_focused()
        await tab.page.keyboard.type("Ünïcode <b>")
        await tab.page.keyboard.press("Escape")
        await expect(chat.conversations.nth(1)).to_have_text("Number 1")
        await expect(chat.conversations.nth(1)).to_be_focused()
        await act(tab.page, "Number 1", "Rename")
        await tab.page.keyboard.type("Ünïcode <b>")
        await tab.page.keyboard.press("Enter")
        await expect(chat.conversations).to_have_text(["Number 2", "Ünïcode <b>", "Number 0"])
        assert (await shown(stack, ids[1]))["title"] == "Ünïcode <b>"
        await chat.conversations.nth(1).click()
        await expect(tab.page.get_by_role("heading", level=1)).to_have_text("Ünïcode <b>")


async def test_pinned_conversations_come_first(context: BrowserContext, settings: Settings) -> None:
    async with opened(context, settings, 3) as (tab, stack, ids):
        chat = ChatPage(tab.page)
        await act(tab.page, "Number 0", "Pin")
        await expect(chat.conversations).to_have_text(["Number 0", "Number 2", "Number 1"])
        await expect(tab.page.locator("#conversations h2")).to_have_text(["Pinned", "Today"])
        assert (await shown(stack, ids[0]))["pinned"] is True
        await tab.page.reload()
        await expect(chat.conversations.first).to_have_text("Number 0")
        await act(tab.page, "Number 0", "Unpin")
        await expect(chat.conversations.last).to_have_text("Number 0")


async def test_an_old_pinned_conversation_is_not_lost_behind_the_first_page(
    context: BrowserContext, settings: Settings
) -> None:
    async with opened(context, settings, 1) as (tab, stack, _):
        chat = ChatPage(tab.page)
        await act(tab.page, "Number 0", "Pin")
        await expect(tab.page.locator("#conversations h2")).to_have_text(["Pinned"])
        for number in range(PAGE):
            await begun(stack, f"Later {number}")
        await tab.page.reload()
        await expect(chat.conversations).to_have_count(PAGE + 1)
        await expect(chat.conversations.first).to_have_text("Number 0")


async def test_what_was_deleted_can_be_had_back_while_the_notice_is_shown(
    context: BrowserContext, settings: Settings
) -> None:
    async with opened(context, settings, 3) as (tab, stack, ids):
        chat = ChatPage(tab.page)
        notice = tab.page.locator("#undo")
        await chat.conversations.first.click()
        await act(tab.page, "Number 2", "Delete")
        await expect(notice).to_contain_text("Deleted: Number 2.")
        await expect(chat.conversations).to_have_text(["Number 1", "Number 0"])
        await expect(tab.page.get_by_role("heading", level=1)).to_have_text("New chat")
        assert await is_there(stack, ids[2])
        await notice.get_by_role("button", name="Undo").click()
        await expect(chat.conversations).to_have_count(3)
        await expect(notice).to_be_hidden()
        # It is open again, as it was.
        await expect(tab.page.get_by_role("heading", level=1)).to_have_text("Number 2")
        assert await is_there(stack, ids[2])

        await ChatPage(tab.page).rarely("Delete")
        async with tab.page.expect_response(
            lambda answer: answer.request.method == "DELETE" and answer.status == 204
        ):
            await notice.get_by_role("button", name="Close").click()
        assert not await is_there(stack, ids[2])
        # Whoever leaves the page has not taken it back.
        await act(tab.page, "Number 1", "Delete")
        await expect(chat.conversations).to_have_text(["Number 0"])
        await tab.page.reload()
        await expect(chat.conversations).to_have_text(["Number 0"])
        assert not await is_there(stack, ids[1])


async def test_a_notice_that_goes_by_itself_deletes(
    context: BrowserContext, settings: Settings
) -> None:
    async with opened(context, settings, 2) as (tab, stack, ids):
        async with tab.page.expect_response(lambda answer: answer.request.method == "DELETE"):
            await act(tab.page, "Number 0", "Delete")
            await tab.page.mouse.move(0, 0)
        await expect(tab.page.locator("#undo")).to_be_hidden()
        assert [await is_there(stack, one) for one in ids] == [False, True]


async def test_search_finds_titles_and_messages(
    context: BrowserContext, settings: Settings
) -> None:
    async with opened(context, settings, 3) as (tab, stack, _):
        chat = ChatPage(tab.page)
        await begun(stack, "A dragon", "Who is it?", "Nobody knows.")
        await begun(stack, "A talk", "Where do dragons live?", "In a cave.")
        search = tab.page.get_by_role("searchbox", name="Search conversations")
        await search.fill("drágon")
        await expect(chat.conversations).to_have_text(["A talk", "A dragon"])
        await expect(row(tab.page, "A talk")).to_contain_text("Where do dragons live?")
        await expect(tab.page.locator("#announcer")).to_have_text("2 found.")
        await chat.conversations.first.click()
        await expect(chat.users).to_have_text(["Where do dragons live?"])
        await search.fill("unicorn")
        await expect(tab.page.get_by_text("Nothing found.")).to_be_visible()
        await search.fill("")
        await expect(chat.conversations).to_have_count(5)
        await expect(chat.conversations.first).to_have_text("A talk")


async def test_another_device_follows_live(browser: Browser, settings: Settings) -> None:
    there, here = await browser.new_context(), await browser.new_context()
    async with opened(here, settings, 2) as (tab, stack, ids):
        chat = ChatPage(tab.page)
        async with open_tab(there, str(stack.client.base_url)) as other:
            await ChatPage(other.page).answer("Hello.")
            await expect(chat.conversations).to_have_text(["Hello.", "Number 1", "Number 0"])
            await act(other.page, "Number 0", "Rename")
            await other.page.keyboard.type("Renamed")
            await other.page.keyboard.press("Enter")
            await expect(chat.conversations.last).to_have_text("Renamed")
            await act(other.page, "Renamed", "Pin")
            await expect(chat.conversations.first).to_have_text("Renamed")
            await chat.conversations.first.click()
            await stack.client.delete(f"/conversations/{ids[0]}")
            for page in (tab.page, other.page):
                await expect(ChatPage(page).conversations).to_have_text(["Hello.", "Number 1"])
            await expect(chat.connection).to_have_text("That conversation does not exist any more.")
    for context in (there, here):
        await context.close()


async def test_what_is_deleted_while_it_is_being_opened_is_not_shown(
    context: BrowserContext, settings: Settings
) -> None:
    async with opened(context, settings, 2) as (tab, stack, ids):
        chat = ChatPage(tab.page)

        async def delete_first(route: Route) -> None:
            messages = await route.fetch()
            await stack.client.delete(f"/conversations/{ids[1]}")
            await expect(chat.conversations).to_have_text(["Number 0"])
            await route.fulfill(response=messages)

        await tab.page.route("**/messages?*", delete_first)
        await chat.conversations.first.click()
        await expect(chat.connection).to_have_text("That conversation does not exist any more.")
        await expect(tab.page.locator("#title")).to_have_text("New chat")
        await tab.page.unroute_all(behavior="wait")


async def test_a_tab_that_was_hidden_catches_up(
    context: BrowserContext, settings: Settings
) -> None:
    async with opened(context, settings, 1) as (tab, stack, _):
        chat = ChatPage(tab.page)
        await begun(stack, "Seen")
        await expect(chat.conversations).to_have_count(2)
        await hide(tab.page, is_hidden=True)
        await begun(stack, "Unseen")
        async with tab.page.expect_request("**/conversations/events") as resumed:
            await hide(tab.page, is_hidden=False)
        assert "last-event-id" in (await (await resumed.value).all_headers())
        await expect(chat.conversations).to_have_text(["Unseen", "Seen", "Number 0"])


async def hide(page: Page, *, is_hidden: bool) -> None:
    await page.evaluate(
        "(value) => { Object.defineProperty(document, 'hidden', {value, configurable: true});"
        " document.dispatchEvent(new Event('visibilitychange')); }",
        is_hidden,
    )


async def test_back_and_forward_move_between_conversations(
    context: BrowserContext, settings: Settings
) -> None:
    async with opened(context, settings, 2) as (tab, _, ids):
        chat, title = ChatPage(tab.page), tab.page.get_by_role("heading", level=1)
        await chat.conversations.last.click()
        await chat.conversations.first.click()
        await tab.page.get_by_role("button", name="New chat").click()
        await chat.answer("Hello.")
        for name in ("Number 1", "Number 0", "New chat"):
            await tab.page.go_back()
            await expect(title).to_have_text(name)
        for name in ("Number 0", "Number 1", "Hello."):
            await tab.page.go_forward()
            await expect(title).to_have_text(name)
        await expect(chat.users).to_have_text(["Hello."])
        assert chat.conversation not in ids


async def test_the_open_conversation_is_in_view_after_a_reload(
    context: BrowserContext, settings: Settings
) -> None:
    async with opened(context, settings, 45, "#{0}") as (tab, stack, _):
        chat = ChatPage(tab.page)
        current = tab.page.locator(".name[aria-current=page]")
        for _ in range(2):
            await expect(current).to_have_text("Number 0")
            await expect(current).to_be_in_viewport()
            await tab.page.reload()
        # Also where its page is not loaded yet.
        for number in range(PAGE):
            await begun(stack, f"Later {number}")
        await tab.page.reload()
        await expect(chat.conversations).to_have_count(PAGE + 1)
        await expect(current).to_have_text("Number 0")
        await expect(current).to_be_in_viewport()
        await expect(tab.page.locator("#conversations h2")).to_have_text(["Open now", "Today"])


async def test_a_server_that_does_not_list_leaves_the_browser_its_own_list(
    context: BrowserContext, settings: Settings
) -> None:
    alone = settings.model_copy(update={"open_list_setting": False})
    async with running_stack(alone, ScriptedEngine()) as stack:
        await begun(stack, "Somebody's")
        async with open_tab(context, str(stack.client.base_url)) as tab:
            chat = ChatPage(tab.page)
            await chat.answer("Mine.")
            await expect(chat.conversations).to_have_text(["Mine."])
            await expect(tab.page.locator("#search")).to_be_hidden()
            await tab.page.reload()
            await expect(chat.conversations).to_have_text(["Mine."])


@pytest.mark.parametrize("look", LOOKS)
async def test_everybody_can_use_the_list(browser: Browser, settings: Settings, look: str) -> None:
    context = await browser.new_context(**LOOKS[look])
    async with opened(context, settings, 3) as (tab, _, _ids):
        chat = ChatPage(tab.page)
        if look == "phone":
            await tab.page.get_by_role("button", name="Chats").tap()
        await act(tab.page, "Number 0", "Pin")
        assert await tab.serious() == []
        await act(tab.page, "Number 2", "Rename")
        assert await tab.serious() == []
        await tab.page.keyboard.press("Escape")
        await act(tab.page, "Number 1", "Delete")
        await expect(tab.page.locator("#undo")).to_be_visible()
        assert await tab.serious() == []
        await tab.page.get_by_role("searchbox").fill("number")
        await expect(chat.conversations).to_have_count(2)
        assert await tab.serious() == []
        width = await tab.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert width <= 0, "nothing sticks out at the side"
    await context.close()
