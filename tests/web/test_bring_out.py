"""All conversations go out in one file, and come in again as they were."""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from shared.config import Settings
from tests.integration.test_exported_alternatives import exported, without_names
from tests.scripted import ScriptedEngine
from tests.servers import Stack, running_stack
from tests.web.browser import open_tab
from tests.web.chat_page import ChatPage
from tests.web.test_bring_in import choose, file
from tests.web.test_looks import LOOKS

KEPT = ("title", "context", "pinned", "turns", "memory")
KEPT_OF_A_MESSAGE = ("number", "role", "content", "timestamp", "pinned")


async def bring_out(page: Page, tmp_path: Path) -> Any:
    """Export all; what the file says."""
    await page.get_by_role("button", name="All conversations").click()
    async with page.expect_download() as waiting:
        await page.get_by_role("button", name="Export all").click()
    download = await waiting.value
    assert download.suggested_filename.startswith("palaver-20")
    await download.save_as(tmp_path / "all.json")
    return json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))


async def begun(stack: Stack, title: str, count: int) -> int:
    messages: list[dict[str, Any]] = [
        {"role": ("user", "assistant")[place % 2], "content": f"{title} {place} é 🐝 </script>"}
        for place in range(count)
    ]
    messages[0]["pinned"] = True
    body = {"title": title, "context": f"As {title}.", "pinned": True, "messages": messages}
    body["memory"] = "summary"
    answer = await stack.client.post("/conversations", json=body)
    assert answer.status_code == 201, answer.text
    conversation_id: int = answer.json()["id"]
    return conversation_id


async def everything(stack: Stack) -> list[tuple[Any, ...]]:
    """What an export keeps, of all conversations; the one that was used last comes first."""
    listed = (await stack.client.get("/conversations?limit=500")).json()["conversations"]
    states = []
    for each in listed:
        path = f"/conversations/{each['id']}"
        state = (await stack.client.get(path)).json()
        messages = (await stack.client.get(f"{path}/messages?limit=500")).json()["messages"]
        kept = [[message.get(name) for name in KEPT_OF_A_MESSAGE] for message in messages]
        states.append((*(state.get(name) for name in KEPT), kept))
    return states


async def test_what_was_exported_comes_in_again_as_it_was(
    context: BrowserContext, settings: Settings, tmp_path: Path
) -> None:
    async with (
        running_stack(settings, ScriptedEngine()) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        ids = [await begun(stack, title, count) for title, count in (("Long", 501), ("Short", 2))]
        await stack.ask("Asked here.")
        before = await everything(stack)
        saved = await bring_out(tab.page, tmp_path)
        dialog = tab.page.get_by_role("dialog", name="Export all conversations")
        await expect(dialog.get_by_role("status")).to_have_text(
            "3 conversations exported. The file can be imported again."
        )
        await dialog.get_by_role("button", name="Close").click()
        assert [each["id"] for each in saved["conversations"][:2]] == ids
        assert len(saved["conversations"][0]["messages"]) == 501
        dialog = await choose(tab.page, file("all.json", saved))
        await expect(dialog.get_by_role("status")).to_have_text("3 conversations imported.")
        after = await everything(stack)
        assert after == [*before, *before], "once more, the newest in front"


async def test_a_single_export_comes_in_again(
    context: BrowserContext, settings: Settings, tmp_path: Path
) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        conversation_id = await begun(stack, "Bees", 3)
        before = await everything(stack)
        async with open_tab(context, f"{stack.client.base_url}#{conversation_id}") as tab:
            async with tab.page.expect_download() as waiting:
                await ChatPage(tab.page).rarely("Export JSON")
            await (await waiting.value).save_as(tmp_path / "it.json")
            saved = json.loads((tmp_path / "it.json").read_text(encoding="utf-8"))
            dialog = await choose(tab.page, file("it.json", saved))
            await expect(dialog.get_by_role("status")).to_have_text("1 conversation imported.")
            assert await everything(stack) == [*before, *before]


async def test_alternatives_go_out_and_come_in_again(
    context: BrowserContext, settings: Settings, tmp_path: Path
) -> None:
    """Those of one inside another, and more messages than a list of them shows."""
    async with running_stack(settings, ScriptedEngine()) as stack:
        source = await begun(stack, "Bees", 60)
        await stack.ask("Wasps?", id=source, replace_from=59)
        await stack.ask("Ants?", id=source, replace_from=1, context="As an ant.")
        async with open_tab(context, f"{stack.client.base_url}#{source}") as tab:
            await expect(ChatPage(tab.page).users).to_have_text(["Ants?"])
            (saved,) = (await bring_out(tab.page, tmp_path))["conversations"]
            await tab.page.get_by_role("button", name="Close").click()
            dialog = await choose(tab.page, file("it.json", saved))
            await expect(dialog.get_by_role("status")).to_have_text("1 conversation imported.")
        (copy,) = {
            each["id"]
            for each in (await stack.client.get("/conversations")).json()["conversations"]
        } - {source}
        assert saved == await exported(stack, source)
        assert without_names(await exported(stack, copy)) == without_names(saved)
    assert [len(each["messages"]) for each in saved["alternatives"]] == [2, 60]


async def test_a_browser_with_a_list_of_its_own_exports_what_it_knows(
    context: BrowserContext, settings: Settings, tmp_path: Path
) -> None:
    alone = settings.model_copy(update={"open_list_setting": False})
    async with (
        running_stack(alone, ScriptedEngine()) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        await begun(stack, "Somebody's", 2)
        await ChatPage(tab.page).answer("Mine.")
        saved = await bring_out(tab.page, tmp_path)
        assert [each["title"] for each in saved["conversations"]] == ["Mine."]


async def test_without_conversations_there_is_no_file(
    context: BrowserContext, settings: Settings
) -> None:
    async with (
        running_stack(settings, ScriptedEngine()) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        downloads: list[Any] = []
        tab.page.on("download", lambda download: downloads.append(download))
        await tab.page.get_by_role("button", name="All conversations").click()
        await tab.page.get_by_role("button", name="Export all").click()
        dialog = tab.page.get_by_role("dialog", name="Export all conversations")
        await expect(dialog.get_by_role("status")).to_have_text("There is nothing to export.")
        assert downloads == []


@pytest.mark.parametrize("look", LOOKS)
async def test_everybody_can_export(
    browser: Browser, settings: Settings, look: str, tmp_path: Path
) -> None:
    context = await browser.new_context(**LOOKS[look])
    async with (
        running_stack(settings, ScriptedEngine()) as stack,
        open_tab(context, str(stack.client.base_url)) as tab,
    ):
        await begun(stack, "Bees", 2)
        if look == "phone":
            await tab.page.get_by_role("button", name="Chats").tap()
        await bring_out(tab.page, tmp_path)
        assert await tab.serious() == []
    await context.close()
