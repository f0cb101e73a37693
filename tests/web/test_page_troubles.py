"""The chat page when answers get lost, others talk too, or keys change: nothing lost or doubled."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Route, expect

from api.http.keys import KeyFile
from shared.config import Settings
from shared.wire.limits import NO_LIMITS, Limits
from tests.scripted import ScriptedEngine
from tests.servers import Stack, Valkey, make_settings, running_stack
from tests.web.browser import open_tab
from tests.web.chat_page import ChatPage


@asynccontextmanager
async def opened(
    context: BrowserContext, settings: Settings, engine: ScriptedEngine | None = None
) -> AsyncIterator[tuple[ChatPage, Stack]]:
    async with (
        running_stack(settings, engine or ScriptedEngine()) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        yield ChatPage(tab.page), stack


async def said(stack: Stack, conversation: int) -> list[str]:
    page = (await stack.client.get(f"/conversations/{conversation}/messages")).json()
    return [one["content"] for one in page["messages"] if one["role"] == "user"]


class Gate:
    """Stops an engine in mid-reply, while it is closed."""

    def __init__(self) -> None:
        self.close()

    def close(self) -> None:
        self._open: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def open(self) -> None:
        self._open.set_result(None)

    def step(self, position: int) -> "asyncio.Future[None] | None":
        return self._open if position == 5 and not self._open.done() else None

    def engine(self) -> ScriptedEngine:
        return ScriptedEngine(piece_length=1, step=self.step)


@pytest.mark.parametrize("has_ended", [False, True])
async def test_an_acceptance_that_was_not_heard_is_shown_once(
    context: BrowserContext, settings: Settings, has_ended: bool
) -> None:
    """Reloaded after the prompt was accepted and before the page knew."""
    gate = Gate()
    async with opened(context, settings, gate.engine()) as (chat, stack):
        gate.open()
        await chat.answer("Hello.")
        gate.close()
        lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def lose(route: Route) -> None:
            job = (await (await route.fetch()).json())["job"]
            await route.abort()
            if not lost.done():
                lost.set_result(job)

        await chat.page.route("**/jobs", lose)
        await chat.ask("Did you hear?")
        job = await lost
        if has_ended:
            gate.open()
            await stack.client.get(f"/jobs/{job}?wait=30")
        # The page is sending it again by now, perhaps.
        await chat.page.unroute_all(behavior="wait")
        await chat.page.reload()
        await expect(chat.users).to_have_text(["Hello.", "Did you hear?"])
        if not has_ended:
            gate.open()
        await chat.until_idle()
        await expect(chat.replies).to_have_text(["You said: Hello.", "You said: Did you hear?"])
        assert await said(stack, chat.conversation) == ["Hello.", "Did you hear?"]


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_what_a_proxy_answers_meanwhile_is_not_an_end(
    context: BrowserContext, settings: Settings, status: int
) -> None:
    gate = Gate()
    async with opened(context, settings, gate.engine()) as (chat, stack):
        left = {"/jobs": 1, "/events": 2}

        async def fail(route: Route) -> None:
            kind = "/events" if route.request.url.endswith("/events") else "/jobs"
            left[kind] -= 1
            if left[kind] < 0:
                await route.continue_()
            else:
                await route.fulfill(status=status, body="<html>try later</html>")

        await chat.page.route("**/jobs", fail)
        await chat.page.route("**/jobs/*/events", fail)
        await chat.ask("Hello.")
        gate.open()
        await chat.until_idle()
        await expect(chat.replies).to_have_text(["You said: Hello."])
        assert await said(stack, chat.conversation) == ["Hello."]


async def test_a_refused_prompt_is_its_writers_again(
    context: BrowserContext, settings: Settings
) -> None:
    async with opened(context, settings) as (chat, stack):
        await chat.answer("Hello.")
        refusal = {"status": 409, "code": "conversation_busy", "detail": "Too many turns wait."}
        body = json.dumps(refusal)
        await chat.page.route("**/jobs", lambda route: route.fulfill(status=409, body=body))
        await chat.prompt.fill("A long thought.")
        await chat.prompt.press("Enter")
        await expect(chat.connection).to_contain_text("Not sent: Too many prompts are waiting")
        await expect(chat.prompt).to_have_value("A long thought.")
        await expect(chat.users).to_have_text(["Hello."])
        await chat.page.unroute("**/jobs")
        # Neither another conversation nor a reload takes it away.
        await chat.page.get_by_role("button", name="New chat").click()
        await chat.conversations.first.click()
        await chat.page.reload()
        await expect(chat.prompt).to_have_value("A long thought.")
        await expect(chat.users).to_have_text(["Hello."])
        await chat.prompt.press("Enter")
        await expect(chat.replies.last).to_have_text("You said: A long thought.")
        assert await said(stack, chat.conversation) == ["Hello.", "A long thought."]


async def test_what_was_stopped_before_it_was_accepted_does_not_run(
    context: BrowserContext, settings: Settings
) -> None:
    async with opened(context, settings) as (chat, stack):
        await chat.page.route("**/jobs", lambda route: route.fulfill(status=503, body="{}"))
        await chat.ask("Hello.")
        await expect(chat.last_reply).to_contain_text("Trying again")
        await chat.stop.click()
        await expect(chat.prompt).to_have_value("Hello.")
        await chat.page.unroute("**/jobs")
        await chat.page.reload()
        await expect(chat.prompt).to_have_value("Hello.")
        await expect(chat.users).to_have_count(0)
        assert (await stack.client.get("/ops/data")).json()["points"][-1]["open"] == 0


async def test_turns_from_elsewhere_are_followed_in_order(
    context: BrowserContext, settings: Settings
) -> None:
    """More of them than a browser has connections for."""
    gate = Gate()
    async with running_stack(settings, gate.engine()) as stack:
        first = (await stack.client.post("/jobs", json={"prompt": "Number 0."})).json()
        for number in range(1, 8):
            body = {"prompt": f"Number {number}.", "id": first["id"]}
            await stack.client.post("/jobs", json=body)
        async with open_tab(context, f"{stack.client.base_url}#{first['id']}") as tab:
            chat = ChatPage(tab.page)
            await expect(chat.replies.first).to_contain_text("You s")
            await expect(chat.users).to_have_count(8)
            async with asyncio.timeout(20):
                # There is a connection left for everything else.
                await chat.page.evaluate("fetch('/healthz')")
            gate.open()
            await chat.until_idle()
            prompts = [f"Number {number}." for number in range(8)]
            await expect(chat.users).to_have_text(prompts)
            await expect(chat.replies).to_have_text([f"You said: {one}" for one in prompts])


async def test_nothing_unseen_is_replaced(context: BrowserContext, settings: Settings) -> None:
    async with opened(context, settings) as (chat, stack):
        await chat.answer("Hello.")
        await stack.ask("From elsewhere.", id=chat.conversation)
        await chat.last_reply.get_by_role("button", name="Retry").click()
        await expect(chat.connection).to_contain_text("went on elsewhere")
        await expect(chat.users).to_have_text(["Hello.", "From elsewhere."])
        await expect(chat.prompt).to_have_value("Hello.")
        assert await said(stack, chat.conversation) == ["Hello.", "From elsewhere."]


async def test_nothing_is_said_before_the_conversation_is_there(
    context: BrowserContext, settings: Settings
) -> None:
    async with opened(context, settings) as (chat, stack):
        await chat.answer("Hello.")
        conversation = chat.conversation
        gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def slow(route: Route) -> None:
            await gate
            await route.continue_()

        await chat.page.route("**/messages?*", slow)
        await chat.page.reload()
        await chat.prompt.fill("Too early?")
        await chat.prompt.press("Enter")
        await expect(chat.prompt).to_have_value("Too early?")
        gate.set_result(None)
        await expect(chat.users).to_have_text(["Hello."])
        await chat.prompt.press("Enter")
        await expect(chat.users).to_have_text(["Hello.", "Too early?"])
        await chat.until_idle()
        assert await said(stack, conversation) == ["Hello.", "Too early?"]


async def test_a_conversation_that_is_left_while_it_loads_stays_away(
    context: BrowserContext, settings: Settings
) -> None:
    async with opened(context, settings) as (chat, _):
        await chat.answer("First.")
        await chat.page.get_by_role("button", name="New chat").click()
        await chat.answer("Second.")
        gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        slow_id = await chat.page.evaluate(
            "JSON.parse(localStorage['palaver.conversations'])[1].id"
        )

        async def slow(route: Route) -> None:
            await gate
            await route.continue_()

        await expect(chat.conversations).to_have_text(["Second.", "First."])
        await chat.page.route(f"**/conversations/{slow_id}/messages?*", slow)
        await chat.conversations.last.click()
        await chat.conversations.first.click()
        await expect(chat.users).to_have_text(["Second."])
        async with chat.page.expect_event("requestfinished"):
            gate.set_result(None)
            await chat.page.evaluate("fetch('/healthz')")
        await expect(chat.users).to_have_text(["Second."])


async def test_keys_keep_apart_what_a_browser_remembers(
    context: BrowserContext, valkey: Valkey, tmp_path: Path
) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    ann, bob = keys.create("ann", NO_LIMITS), keys.create("bob", Limits(requests_per_minute=1))
    settings = make_settings(valkey.url, PALAVER_API_KEYS_FILE=tmp_path / "keys.json")
    async with running_stack(settings, ScriptedEngine()) as stack:
        address = str(stack.client.base_url)

        async def use(chat: ChatPage, key: str) -> None:
            dialog = chat.page.get_by_role("dialog")
            await dialog.get_by_label("Key", exact=True).fill(key)
            # As people do it; the page is loaded anew then.
            async with chat.page.expect_event("load"):
                await dialog.get_by_label("Key", exact=True).press("Enter")
            await expect(dialog).to_be_hidden()

        async with open_tab(context, address) as tab:
            await use(chat := ChatPage(tab.page), ann)
            await chat.answer("Ann's secret.")
            await chat.prompt.fill("Ann's draft.")
        # A key that is not to be remembered is gone with its tab, and so is what was said with it.
        async with open_tab(context, address) as tab:
            chat = ChatPage(tab.page)
            await expect(tab.page.get_by_role("dialog")).to_be_visible()
            await expect(chat.conversations).to_have_count(0)
            await expect(chat.prompt).to_have_value("")
            await use(chat, bob)
            await chat.answer("Bob here.")
            await expect(chat.conversations).to_have_text(["Bob here."])
            # One a minute: what is refused comes back, and the reason is told.
            await chat.prompt.fill("Bob again.")
            await chat.prompt.press("Enter")
            await expect(chat.connection).to_contain_text("the limit of this key is reached")
            await expect(chat.prompt).to_have_value("Bob again.")
