"""What is said in a conversation on another device shows where it is open: live, once, in order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from playwright.async_api import Browser, BrowserContext, Page, Route, expect

from shared.config import Settings
from tests.scripted import ScriptedEngine, echo, last_prompt
from tests.servers import Stack, Valkey, make_settings, running_stack
from tests.web.browser import open_tab
from tests.web.chat_page import ChatPage
from tests.web.test_page_alternatives import alternatives

COUNT: Final = "One, two, three, four, five, six."
MOST_REQUESTS: Final = 8
"""Of a page that shows a turn from elsewhere: the conversation when it begins and ends, its job,
the events, messages, and their texts to be rendered."""

SCROLLED: Final = "document.getElementById('scroller').scrollTop"
SCROLL_UP: Final = """() => new Promise((resolve) => {
  const scroller = document.getElementById("scroller");
  scroller.addEventListener("scroll", resolve, { once: true });
  scroller.scrollTop = 100;
})"""


class Held:
    """Stops the replies to some prompts after so many characters, until each is let go."""

    def __init__(self, *prompts: str, at: int = 10) -> None:
        loop = asyncio.get_running_loop()
        self._open = {prompt: loop.create_future() for prompt in prompts}
        self._at = at
        self._engine = ScriptedEngine(self._reply, piece_length=1, step=self._step, slots=1)
        self._prompt = ""

    def engine(self) -> ScriptedEngine:
        return self._engine

    def let_go(self, prompt: str) -> None:
        self._open[prompt].set_result(None)

    def _reply(self, text: str) -> str:
        self._prompt = last_prompt(text)
        return COUNT if self._prompt == "Count." else echo(text)

    def _step(self, position: int) -> "asyncio.Future[None] | None":
        held = self._open.get(self._prompt)
        return held if held and position >= self._at and not held.done() else None


@asynccontextmanager
async def opened(
    context: BrowserContext, stack: Stack, conversation: int, turns: int = 1
) -> AsyncIterator[ChatPage]:
    """A tab with a conversation, once it follows what happens elsewhere."""
    async with open_tab(context, f"{stack.client.base_url}#{conversation}") as tab:
        chat = ChatPage(tab.page)
        await expect(chat.replies).to_have_count(turns)
        if stack.settings.open_list:
            await expect(tab.page.locator("#conversations [aria-current]")).to_be_visible()
        yield chat


async def submitted(stack: Stack, conversation: int, **body: Any) -> str:
    """The job of a turn that another device has sent."""
    answer = await stack.client.post("/jobs", json={"id": conversation, **body})
    assert answer.status_code == 202, answer.text
    job: str = answer.json()["job"]
    return job


async def mark(page: Page) -> None:
    """Remember the elements that show messages."""
    await page.evaluate("for (const one of document.querySelectorAll('.message')) one.isOld = true")


async def marked(page: Page) -> list[bool]:
    found: list[bool] = await page.evaluate(
        "[...document.querySelectorAll('.message')].map((one) => one.isOld === true)"
    )
    return found


@pytest.mark.parametrize("lists", [True, False])
async def test_a_turn_from_elsewhere_streams_and_disturbs_nobody(
    browser: Browser, context: BrowserContext, valkey: Valkey, lists: bool
) -> None:
    settings = make_settings(valkey.url, PALAVER_OPEN_LIST=int(lists))
    held, device = Held("And now?"), await browser.new_context()
    async with running_stack(settings, held.engine()) as stack:
        first = (await stack.ask("Hello."))["id"]
        async with opened(context, stack, first) as here, opened(device, stack, first) as there:
            await here.prompt.press_sequentially("My own")
            await mark(here.page)
            await there.ask("And now?")
            await expect(here.users).to_have_text(["Hello.", "And now?"])
            await expect(here.replies.last).to_have_text("You said: ")
            await here.prompt.press_sequentially(" words")
            held.let_go("And now?")
            await expect(here.replies.last).to_have_text("You said: And now?")
            await here.until_idle()
            await expect(here.users).to_have_text(["Hello.", "And now?"])
            await expect(here.replies).to_have_text(["You said: Hello.", "You said: And now?"])
            await expect(here.prompt).to_have_value("My own words")
            await expect(here.prompt).to_be_focused()
            assert await marked(here.page) == [True, True, False, False]
            # What stands can be gone on with as if it had been said here.
            await here.prompt.press("Enter")
            await expect(there.replies.last).to_have_text("You said: My own words")
            await expect(there.users).to_have_text(["Hello.", "And now?", "My own words"])
    await device.close()


@pytest.mark.parametrize("end", ["stop", "cancel"])
async def test_its_end_shows_as_it_is(
    context: BrowserContext, settings: Settings, end: str
) -> None:
    held = Held("And now?")
    async with running_stack(settings, held.engine()) as stack:
        first = (await stack.ask("Hello."))["id"]
        async with opened(context, stack, first) as here:
            job = await submitted(stack, first, prompt="And now?")
            await expect(here.replies.last).to_have_text("You said: ")
            if end == "stop":
                await stack.client.post(f"/jobs/{job}/stop")
                await expect(here.last_reply).to_contain_text("Stopped")
            else:
                await stack.client.delete(f"/jobs/{job}")
                await expect(here.last_reply).to_contain_text("not part of the conversation")
            await here.until_idle()
            await expect(here.prompt).to_have_value("")
            stored = 2 if end == "stop" else 1
            await here.page.reload()
            await expect(here.users).to_have_count(stored)


@pytest.mark.parametrize("number", [1, 3])
async def test_an_edit_from_elsewhere_takes_the_place_of_what_it_replaces(
    context: BrowserContext, settings: Settings, number: int
) -> None:
    held = Held("Instead.")
    async with running_stack(settings, held.engine()) as stack:
        first = (await stack.ask("One."))["id"]
        await stack.ask("Two.", id=first)
        async with opened(context, stack, first, turns=2) as here:
            await submitted(stack, first, prompt="Instead.", replace_from=number)
            kept = ["One."][: number - 1]
            await expect(here.users).to_have_text([*kept, "Instead."])
            held.let_go("Instead.")
            await expect(here.replies.last).to_have_text("You said: Instead.")
            await expect(alternatives(here)).to_have_text(["‹2/2›"])
            await expect(here.users).to_have_text([*kept, "Instead."])
            # Also what was put back, which is no turn.
            messages = (await stack.client.get(f"/conversations/{first}/messages")).json()
            earlier = messages["messages"][number - 1]["alternatives"]["ids"][0]
            await stack.client.post(f"/conversations/{first}/alternatives/{earlier}")
            await expect(here.users).to_have_text(["One.", "Two."])
            await expect(alternatives(here)).to_have_text(["‹1/2›"])


async def test_turns_that_were_over_at_once_are_there_too(
    context: BrowserContext, settings: Settings
) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        first = (await stack.ask("1"))["id"]
        async with opened(context, stack, first) as here:
            prompts = [str(number) for number in range(1, 41)]
            for prompt in prompts[1:]:
                await stack.ask(prompt, id=first)
            await expect(here.users).to_have_text(prompts)
            await expect(here.replies).to_have_text([f"You said: {prompt}" for prompt in prompts])


async def test_who_reads_above_stays_there_and_who_is_at_the_end_follows(
    context: BrowserContext, settings: Settings
) -> None:
    held = Held("Three.")
    async with running_stack(settings, held.engine()) as stack:
        first = (await stack.ask("One.\n" * 40))["id"]
        async with opened(context, stack, first) as here:
            await stack.ask("Two.", id=first)
            await expect(here.replies.last.get_by_text("You said: Two.")).to_be_in_viewport()
            await here.page.evaluate(SCROLL_UP)
            await submitted(stack, first, prompt="Three.")
            await expect(here.replies.last).to_have_text("You said: ")
            assert await here.page.evaluate(SCROLLED) == 100
            held.let_go("Three.")
            await expect(here.replies.last).to_have_text("You said: Three.")
            await here.until_idle()
            await stack.ask("Four.", id=first)
            await expect(here.replies.last).to_have_text("You said: Four.")
            await here.until_idle()
            assert await here.page.evaluate(SCROLLED) == 100


async def test_what_is_sent_from_here_stands_behind_what_came_first(
    context: BrowserContext, settings: Settings
) -> None:
    """The page hears of the other turn only when its own was accepted."""
    held = Held("Theirs.", "Mine.")
    async with running_stack(settings, held.engine()) as stack:
        first = (await stack.ask("Hello."))["id"]
        async with opened(context, stack, first) as here:
            looks: asyncio.Queue[Route] = asyncio.Queue()
            await here.page.route(f"**/conversations/{first}", looks.put_nowait)
            await submitted(stack, first, prompt="Theirs.")
            look = await looks.get()
            await here.ask("Mine.")
            await expect(here.last_reply).to_contain_text("queue")
            await look.continue_()
            await here.page.unroute(f"**/conversations/{first}")
            await expect(here.users).to_have_text(["Hello.", "Theirs.", "Mine."])
            await expect(here.replies.nth(1)).to_have_text("You said: ")
            held.let_go("Theirs.")
            await expect(here.replies.nth(1)).to_have_text("You said: Theirs.")
            held.let_go("Mine.")
            await expect(here.replies.last).to_have_text("You said: Mine.")
            await here.until_idle()
            await expect(here.users).to_have_text(["Hello.", "Theirs.", "Mine."])


async def test_continuing_behind_another_turn_hides_no_wrong_reply(
    context: BrowserContext, settings: Settings
) -> None:
    """What is to be continued was the last reply when the button was pressed."""
    held = Held("Theirs.")
    async with running_stack(settings, held.engine()) as stack:
        first = (await stack.ask("Count.", max_tokens=10))["id"]
        async with opened(context, stack, first) as here:
            looks: asyncio.Queue[Route] = asyncio.Queue()
            await here.page.route(f"**/conversations/{first}", looks.put_nowait)
            await submitted(stack, first, prompt="Theirs.", max_tokens=15)
            look = await looks.get()
            await here.page.get_by_role("button", name="Continue").click()
            await expect(here.last_reply).to_contain_text("queue")
            await look.continue_()
            await here.page.unroute(f"**/conversations/{first}")
            await expect(here.users).to_have_text(["Count.", "Theirs."])
            await expect(here.replies.first).to_have_text(COUNT[:10])
            await expect(here.replies.nth(1)).to_have_text("You said: ")
            held.let_go("Theirs.")
            await expect(here.replies).to_have_text([COUNT[:10], "You said: Theirs."])
            await here.until_idle()
            await expect(here.users).to_have_text(["Count.", "Theirs."])


async def test_a_turn_from_elsewhere_takes_few_requests(
    context: BrowserContext, settings: Settings
) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        first = (await stack.ask("Hello."))["id"]
        async with opened(context, stack, first) as here:
            requests: list[str] = []
            here.page.on("request", lambda request: requests.append(request.url))
            await stack.ask("And now?", id=first)
            await expect(here.replies.last).to_have_text("You said: And now?")
            await here.answer("From here.")
            await expect(here.users).to_have_count(3)
            assert len(requests) <= 2 * MOST_REQUESTS, requests
