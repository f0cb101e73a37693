"""Several models on the chat page: a choice, who wrote what, and what happens when one is gone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Locator, Route, expect

from shared.config import Settings
from tests.scripted import ScriptedEngine
from tests.servers import Stack, running_stack
from tests.web.browser import Tab, open_tab
from tests.web.chat_page import ChatPage
from tests.web.test_looks import PHONE

LONG_NAME = "A-Model-With-A-Very-Long-Name-That-Does-Not-Fit-On-Any-Phone-Q4_K_M.with-a-suffix"


class Served:
    """A server with these models for the page, around one that is real.

    Args:
        models: their names; those in `bodies` and in replies are what the page has sent.
    """

    def __init__(self, stack: Stack, *models: str) -> None:
        self.stack = stack
        self.models = list(models)
        self.bodies: list[dict[str, Any]] = []
        self.refusals: list[tuple[int, str, str]] = []
        """Status, code and detail of the answers to the next prompts."""

    async def list_models(self, route: Route) -> None:
        response = await route.fetch()
        [real] = (await response.json())["data"]
        data = [real | {"id": name, "capabilities": ["chat"]} for name in self.models]
        data += [real | {"id": "embedder", "capabilities": ["embeddings"]}]
        await route.fulfill(json={"object": "list", "data": data})

    async def accept(self, route: Route) -> None:
        body: Any = route.request.post_data_json
        self.bodies.append(dict(body))
        if self.refusals:
            status, code, detail = self.refusals.pop(0)
            problem = {"status": status, "code": code, "detail": detail}
            return await route.fulfill(status=status, json=problem)
        body.pop("model", None)
        return await route.continue_(post_data=body)

    async def list_messages(self, route: Route) -> None:
        """With the model that each prompt asked for."""
        response = await route.fetch()
        page = await response.json()
        for message in page["messages"]:
            if message["role"] == "assistant":
                body = self.bodies[message["number"] // 2 - 1]
                message["model"] = body.get("model", self.models[0])
        await route.fulfill(response=response, json=page)


def choice(tab: Tab) -> Locator:
    return tab.page.get_by_role("combobox", name="Model")


@asynccontextmanager
async def several(
    context: BrowserContext, settings: Settings, *models: str
) -> AsyncIterator[tuple[Tab, Served]]:
    async with running_stack(settings, ScriptedEngine(name="A")) as stack:
        served = Served(stack, *models)
        await context.route("**/v1/models", served.list_models)
        await context.route("**/jobs", served.accept)
        await context.route("**/messages?*", served.list_messages)
        async with open_tab(context, str(stack.client.base_url)) as tab:
            yield tab, served
        await context.unroute_all()


async def test_there_is_a_choice_only_where_there_are_several(
    context: BrowserContext, settings: Settings
) -> None:
    async with several(context, settings, "A") as (tab, served):
        await expect(tab.page.locator("#model")).to_contain_text("A")
        await expect(choice(tab)).to_be_hidden()
        await ChatPage(tab.page).answer("Hello.")
        await expect(tab.page.locator(".by")).to_be_hidden()
        served.models.append("B")
        await tab.page.reload()
        await expect(choice(tab)).to_be_visible()
        await expect(choice(tab).locator("option")).to_have_text(["A", "B"])
        await expect(tab.page.locator(".by")).to_have_text("Model: A")
    assert "model" not in served.bodies[0]


async def test_each_conversation_keeps_its_model(
    context: BrowserContext, settings: Settings
) -> None:
    async with several(context, settings, "A", "B") as (tab, served):
        chat = ChatPage(tab.page)
        await expect(choice(tab).locator("option")).to_have_text(["Default", "A", "B"])
        await chat.answer("One.")
        # By the keyboard alone.
        await choice(tab).focus()
        await tab.page.keyboard.press("B")
        await expect(choice(tab)).to_have_value("B")
        await chat.answer("Two.")
        await expect(tab.page.locator("#model")).to_contain_text("B")
        assert await tab.serious() == []
        await tab.page.reload()
        await expect(choice(tab)).to_have_value("B")
        await expect(tab.page.locator(".by")).to_have_text(["Model: A", "Model: B"])
        await tab.page.get_by_role("button", name="New chat").click()
        await expect(choice(tab)).to_have_value("")
        await chat.answer("Three.")
        await chat.conversations.last.click()
        await expect(choice(tab)).to_have_value("B")
        await chat.last_reply.get_by_role("button", name="Retry").click()
        await expect(chat.stop).to_be_hidden()
        await chat.until_idle()
    assert [body.get("model") for body in served.bodies] == [None, "B", None, "B"]


async def test_a_choice_for_new_conversations_is_kept(
    context: BrowserContext, settings: Settings
) -> None:
    async with several(context, settings, "A", "B") as (tab, served):
        chat = ChatPage(tab.page)
        await choice(tab).select_option("B")
        await chat.answer("One.")
        await expect(choice(tab)).to_have_value("B")
        await tab.page.get_by_role("button", name="New chat").click()
        await expect(choice(tab)).to_have_value("B")
        await choice(tab).select_option("Default")
        await chat.answer("Two.")
        await chat.conversations.last.click()
        await expect(choice(tab)).to_have_value("B")
    assert [body.get("model") for body in served.bodies] == ["B", None]


@pytest.mark.parametrize(
    ("refusals", "detail"),
    [
        ([(404, "model_not_found", "there is no model 'B'; there are A, C")], "there is no model"),
        ([(503, "no_worker", "no worker of 'B' has been heard from lately")] * 5, "no worker of"),
    ],
)
async def test_a_model_that_is_gone_can_be_exchanged(
    context: BrowserContext, settings: Settings, refusals: list[Any], detail: str
) -> None:
    async with several(context, settings, "A", "B") as (tab, served):
        chat = ChatPage(tab.page)
        await choice(tab).select_option("B")
        served.models[1] = "C"
        served.refusals = list(refusals)
        await chat.prompt.fill("Hello.")
        await chat.prompt.press("Enter")
        await expect(chat.connection).to_contain_text(f"Not sent: {detail}")
        await expect(chat.connection).to_contain_text("Choose another model")
        await expect(chat.prompt).to_have_value("Hello.")
        gone = choice(tab).locator("option", has_text="not served now")
        await expect(gone).to_have_text("B (not served now)")
        await expect(choice(tab)).to_have_value("B")
        assert await tab.serious() == []
        await choice(tab).select_option("C")
        await expect(gone).to_have_count(0)
        await chat.prompt.press("Enter")
        await expect(chat.replies.last).to_have_text("You said: Hello.")
    assert served.bodies[-1]["model"] == "C"


async def test_a_model_that_restarts_is_waited_for(
    context: BrowserContext, settings: Settings
) -> None:
    async with several(context, settings, "A", "B") as (tab, served):
        chat = ChatPage(tab.page)
        await choice(tab).select_option("B")
        served.refusals = [(503, "no_worker", "no worker of 'B' has been heard from lately")] * 2
        await chat.ask("Hello.")
        await expect(chat.replies.last).to_have_text("You said: Hello.")
        await expect(chat.connection).to_be_hidden()
    assert [body["model"] for body in served.bodies] == ["B"] * 3


async def test_the_choice_fits_a_phone(browser: Browser, settings: Settings) -> None:
    context = await browser.new_context(**PHONE)
    async with several(context, settings, "A", LONG_NAME, "<b>C</b>") as (tab, _):
        chat = ChatPage(tab.page)
        await choice(tab).select_option(LONG_NAME)
        await chat.answer("Hello.")
        await tab.page.reload()
        await expect(tab.page.locator(".by")).to_have_text(f"Model: {LONG_NAME}")
        width = await tab.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert width <= 0, "nothing sticks out at the side"
        box = await choice(tab).bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= 390
        assert await tab.serious() == []
    await context.close()
