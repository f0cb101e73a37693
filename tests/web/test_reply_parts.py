"""Thoughts, calls and their results on the chat page, with a script instead of a model."""

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from playwright.async_api import BrowserContext, Page, Route, expect

from shared.config import Settings
from shared.wire.parts import ToolCall
from tests.scripted import ScriptedEngine, last_prompt
from tests.servers import running_stack
from tests.web.browser import open_tab
from tests.web.chat_page import ChatPage
from worker.engine.interface import Part

HOSTILE = """</details><img src=x onerror="document.title='owned'"> **bold** <script>1</script>"""
THOUGHT = f"Let me see. {HOSTILE}"
CALL = ToolCall(id="call_1", name="weather<b>", arguments='{"city": "<img src=x>"}')
TOKENS = f"{len(THOUGHT):,} tokens"


def thinks(prompt: str) -> list[Part]:
    return [Part("reasoning", THOUGHT), Part("text", f"You said: {last_prompt(prompt)}")]


def calls(_prompt: str) -> list[Part]:
    return [Part("text", "Wait."), Part("call", CALL.encode())]


async def with_answers(page: Page, path: str, change: Callable[[Any], Any]) -> None:
    """What a server of the same version answers, with members that only other models bring."""

    async def answer(route: Route) -> None:
        response = await route.fetch()
        await route.fulfill(response=response, json=change(await response.json()))

    await page.route(path, answer)


async def test_a_thought_is_folded_away_and_unfolded_by_keyboard(
    context: BrowserContext, settings: Settings
) -> None:
    begin: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    engine = ScriptedEngine(thinks, piece_length=1, step=lambda at: begin if at == 11 else None)
    async with (
        running_stack(settings, engine) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        chat = ChatPage(tab.page)
        await chat.ask("Hello.")
        summary = chat.last_reply.locator(".thought > summary")
        await expect(summary).to_contain_text("Thinking …")
        await expect(summary).to_contain_text("Let me see")
        thought = chat.last_reply.locator(".thought-text")
        await expect(thought).to_be_hidden()
        begin.set_result(None)
        await chat.until_idle()
        await expect(summary).to_have_text(re.compile(rf"^Thought for .* s · {TOKENS}$"))
        await expect(chat.replies.last).to_have_text("You said: Hello.")
        await summary.press("Enter")
        await expect(thought).to_have_text(THOUGHT)
        await expect(chat.last_reply.locator("img, script")).to_have_count(0)
        assert await tab.serious() == []
        await tab.page.evaluate(
            "navigator.clipboard.writeText = async (text) => { window.copied = text; }"
        )
        await chat.last_reply.locator("> .actions").get_by_role("button", name="Copy").click()
        assert await tab.page.evaluate("window.copied") == "You said: Hello."
        await tab.page.reload()
        await expect(summary).to_have_text(f"Thought · {len(THOUGHT)} characters")
        assert await tab.page.title() != "owned"


async def test_stored_thoughts_calls_and_results_are_shown_as_text(
    context: BrowserContext, settings: Settings
) -> None:
    def with_parts(page: dict[str, Any]) -> dict[str, Any]:
        parts: dict[int, dict[str, Any]] = {
            2: {"content": "", "reasoning": THOUGHT, "tool_calls": [CALL.to_json()]},
            4: {"role": "tool", "name": CALL.name, "call_id": CALL.id, "content": HOSTILE},
        }
        for message in page["messages"]:
            message |= parts.get(message["number"], {})
        return page

    async with running_stack(settings, ScriptedEngine()) as stack:
        first = await stack.ask("How warm?")
        await stack.ask("And there?", id=first["id"])
        async with open_tab(context, str(stack.client.base_url)) as tab:
            await with_answers(tab.page, "**/messages?*", with_parts)
            await tab.page.goto(f"{stack.client.base_url}#{first['id']}")
            await tab.page.reload()
            summary = tab.page.locator(".thought:visible > summary")
            await expect(summary).to_have_text(f"Thought · {len(THOUGHT)} characters")
            call = tab.page.locator(".call").first
            await expect(call.locator("summary")).to_have_text(f"Calls {CALL.name}")
            assert json.loads(await call.locator("pre").inner_text()) == {"city": "<img src=x>"}
            result = tab.page.locator(".message.tool")
            await expect(result.locator("summary")).to_have_text(f"Result of {CALL.name}")
            await expect(result.locator("pre")).to_have_text(HOSTILE)
            await expect(tab.page.locator("#messages img, #messages script")).to_have_count(0)
            assert await tab.serious() == []
            assert await tab.page.title() != "owned"
            async with tab.page.expect_download() as download:
                await ChatPage(tab.page).rarely("Export Markdown")
            text = (await (await download.value).path()).read_text(encoding="utf-8")
            assert f"> {THOUGHT}" in text
            assert f"## Tool: {CALL.name}\n\n```\n{HOSTILE}\n```" in text


async def test_a_call_is_shown_and_never_run(context: BrowserContext, settings: Settings) -> None:
    async with (
        running_stack(settings, ScriptedEngine(calls)) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        chat = ChatPage(tab.page)
        await chat.answer("How warm?")
        await expect(chat.replies.last).to_have_text("Wait.")
        await expect(chat.last_reply.locator(".call summary")).to_have_text(f"Calls {CALL.name}")
        await expect(chat.last_reply.locator(".note")).to_contain_text("waits for what its calls")
        # Somebody who has no tool can go on all the same.
        await chat.answer("Never mind.")
        await expect(chat.users).to_have_text(["How warm?", "Never mind."])


async def test_how_much_to_think_is_asked_only_of_a_model_that_thinks(
    context: BrowserContext, settings: Settings
) -> None:
    bodies: list[Any] = []

    async def note(route: Route) -> None:
        bodies.append(route.request.post_data_json)
        await route.continue_()

    def able(models: dict[str, Any]) -> dict[str, Any]:
        models["data"][0]["capabilities"] = capabilities
        return models

    async with running_stack(settings, ScriptedEngine()) as stack:
        capabilities = ["chat"]
        async with open_tab(context, str(stack.client.base_url)) as tab:
            await tab.page.route("**/jobs", note)
            await with_answers(tab.page, "**/v1/models", able)
            chat, choice = ChatPage(tab.page), tab.page.get_by_label("Thinking")
            model = tab.page.locator("#model")
            await tab.page.reload()
            await expect(model).to_contain_text("scripted")
            await expect(choice).to_be_hidden()
            capabilities = ["chat", "reasoning", "tools"]
            await tab.page.reload()
            await expect(model).to_contain_text("thinks · calls tools")
            await chat.answer("One.")
            await choice.select_option("low")
            assert await tab.serious() == []
            await tab.page.reload()
            await expect(choice).to_have_value("low")
            await chat.answer("Two.")
    assert [body.get("reasoning") for body in bodies] == [None, "low"]


async def test_the_bundled_model_is_announced_as_a_demo_whatever_its_name(
    context: BrowserContext, settings: Settings
) -> None:
    for is_demo in (True, False):
        engine = ScriptedEngine(name="SmolLM2-135M-Instruct")
        engine.model = replace(engine.model, is_demo=is_demo)
        async with (
            running_stack(settings, engine) as stack,
            open_tab(context, str(stack.client.base_url)) as tab,
        ):
            await expect(tab.page.locator("#model")).to_contain_text("SmolLM2")
            demo = tab.page.get_by_text("it chats, it does not know")
            await expect(demo).to_be_visible(visible=is_demo)
            await expect(demo).to_contain_text("PALAVER_MODEL_PATH=")
