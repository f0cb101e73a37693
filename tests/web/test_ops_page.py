"""The operations page: its figures against a known trace, and what it shows of failures."""

import asyncio
import os
import re
import signal
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from api.http.keys import KeyFile
from shared.config import Settings
from shared.errors import TurnFailed
from shared.wire.limits import NO_LIMITS
from tests.e2e.processes import Palaver
from tests.integration.bench import Bench, completion
from tests.scripted import ScriptedEngine, last_prompt
from tests.servers import Valkey, make_settings, running_api, running_stack
from tests.web.browser import open_tab
from tests.web.chat_page import LONG, until_running
from worker.engine.interface import EngineError

SECRET = "xyzzy-plugh"


async def figure(page: Page, list_id: str, term: str, value: str | re.Pattern[str]) -> None:
    """Return when a figure of one of the lists is as it should be."""
    row = page.locator(f"#{list_id} div").filter(has=page.get_by_text(term, exact=True))
    await expect(row.locator("dd")).to_have_text(value)


async def until(client: httpx.AsyncClient, **wanted: Any) -> dict[str, Any]:
    """What the page gets, once its sums are these."""
    async with asyncio.timeout(20):
        while True:
            data: dict[str, Any] = (await client.get("/ops/data")).json()
            minutes = data["minutes"] or {}
            if all(minutes.get(name) == value for name, value in wanted.items()):
                return data
            await asyncio.sleep(0.05)


async def until_waiting(client: httpx.AsyncClient, count: int) -> None:
    """Return when the last point of the charts has so many waiting turns."""
    async with asyncio.timeout(20):
        while (await client.get("/ops/data")).json()["points"][-1]["waiting"] != count:
            await asyncio.sleep(0.05)


def sometimes(prompt: str) -> str:
    if "fail" in last_prompt(prompt):
        raise EngineError("as asked")
    return "0123456789"


async def test_a_known_trace_is_counted_exactly(
    context: BrowserContext, settings: Settings
) -> None:
    settings = make_settings(
        str(settings.redis_url), PALAVER_NAMESPACE=settings.namespace, PALAVER_LEASE=3
    )
    async with running_stack(settings, ScriptedEngine(sometimes, slots=3)) as stack:
        await until(stack.client, started=0)
        for _ in range(4):
            await stack.ask("work")
        for _ in range(2):
            assert (await stack.client.post("/", json={"prompt": "fail"})).status_code == 500
        data = await until(stack.client, completed=4, failed=2)
        minutes = data["minutes"]
        assert minutes["outcomes"] == {"completed": 4, "generation_failed": 2}
        assert (minutes["taken_over"], minutes["fenced"], minutes["handed_over"]) == (0, 0, 0)
        assert 0 < minutes["queue_wait_p50_s"] <= minutes["queue_wait_p95_s"] < 1
        assert data["points"][-1]["open"] == data["points"][-1]["waiting"] == 0
        [worker] = data["workers"]
        assert (worker["model"], worker["slots"], worker["running"]) == ("scripted", 3, 0)
        async with open_tab(context, f"{stack.client.base_url}/ops") as tab:
            await figure(tab.page, "sums", "Turns completed", "4")
            await figure(tab.page, "sums", "Turns failed", "2")
            await figure(tab.page, "sums", "– generation failed", "2")
            await figure(tab.page, "now", "Turns / slots", "0 / 3")
            await expect(tab.page.locator("#workers tr")).to_have_count(1)
            await expect(tab.page.locator("#state")).to_have_text("All is well")
            model = tab.page.locator("#models tr")
            await expect(model).to_contain_text(re.compile("^scripted10 / 3300–"))
            await expect(tab.page.locator("figure svg polyline").first).to_be_attached()
            assert await tab.serious() == []
            # It goes on by itself.
            await stack.ask("work")
            await figure(tab.page, "sums", "Turns completed", "5")


async def test_a_key_is_asked_for(context: BrowserContext, valkey: Valkey, tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    key = keys.create("ann", NO_LIMITS, "operator")
    plain = keys.create("bob", NO_LIMITS)
    settings = make_settings(valkey.url, PALAVER_API_KEYS_FILE=tmp_path / "keys.json")
    async with running_stack(settings) as stack:
        html = {"Accept": "text/html"}
        for path, headers in (("/ops", html), ("/ops", {}), ("/ops/data", {}), ("/metrics", {})):
            assert (await stack.client.get(path, headers=headers)).status_code == 401
        allowed = {"Authorization": f"Bearer {key}"}
        for path in ("/ops", "/ops/data", "/metrics"):
            assert (await stack.client.get(path, headers=allowed)).status_code == 200
        refused = {"Authorization": f"Bearer {plain}"}
        for path in ("/ops", "/ops/data", "/metrics"):
            answer = await stack.client.get(path, headers=refused)
            assert (answer.status_code, answer.json()["code"]) == (403, "operator_required")
        async with open_tab(context, f"{stack.client.base_url}/ops") as tab:
            field = tab.page.get_by_label("This server asks for an API key")
            await field.fill("wrong")
            await field.press("Enter")
            await expect(tab.page.locator("#key-refused")).to_have_text(
                "The server does not know this key."
            )
            await field.fill(plain)
            await field.press("Enter")
            await expect(tab.page.locator("#key-refused")).to_contain_text("not an operator's")
            await field.fill(key)
            await field.press("Enter")
            await expect(field).to_be_hidden()
            await expect(tab.page.locator("#state")).to_have_text("1 problem")
            await expect(tab.page.locator("#notices")).to_contain_text("No worker is running.")


async def test_models_and_draining_workers_are_told_apart(
    context: BrowserContext, bench: Bench
) -> None:
    await bench.serve("w2", "w3", pool="other <b>")
    await bench.workers.drain("w3", "other <b>", ttl_s=60)
    await bench.serve("w4", pool="gone")
    await bench.submit(model="gone")
    await bench.workers.leave("w4", "gone")
    async with (
        running_api(bench.settings) as client,
        open_tab(context, f"{client.base_url}/ops") as tab,
    ):
        rows = tab.page.locator("#models tr")
        await expect(rows.locator("th")).to_have_text(["gone", "other <b>", "scripted"])
        cells = [
            ["0", "0 / 0", "0", "1", "0", "–", "0"],
            ["2, 1 draining", "0 / 16", "8", "0", "0", "–", "0"],
            ["1", "0 / 8", "8", "0", "0", "–", "0"],
        ]
        for number, texts in enumerate(cells):
            await expect(rows.nth(number).locator("td")).to_have_text(texts)
        await expect(rows.first.locator("td.bad")).to_have_text(["0", "1"])
        await expect(tab.page.locator("#state")).to_have_text("1 problem")
        await expect(tab.page.locator("#notices li")).to_have_count(2)
        await expect(tab.page.locator("#notices li.bad")).to_have_text(
            "1 turn waits for gone, and no worker runs it. "
            "Start a worker of this model, or cancel those turns."
        )
        await expect(tab.page.locator("#notices li").last).to_contain_text("w3 drains.")
        states = tab.page.locator("#workers td:nth-child(2)")
        await expect(states).to_have_text(["idle", "idle", "draining"])
        assert await tab.serious() == []


async def cells(page: Page, table: str) -> list[str]:
    """The texts of a table's only row."""
    row = page.locator(f"#{table} tr")
    await expect(row).to_have_count(1)
    return await row.locator("th, td").all_inner_texts()


async def test_turns_are_shown_and_found(context: BrowserContext, bench: Bench) -> None:
    failed = await bench.submit(prompt=SECRET, request="req_1")
    await bench.claims.fail(await bench.claim(), TurnFailed(SECRET))
    running = await bench.submit(prompt=SECRET)
    await bench.claim()
    waiting = await bench.submit(running.conversation_id, prompt=SECRET)
    async with (
        running_api(bench.settings) as client,
        open_tab(context, f"{client.base_url}/ops") as tab,
    ):
        page = tab.page
        shown = await cells(page, "running")
        job, conversation = running.job_id, running.conversation_id
        assert shown[:4] == [job, conversation, "–", "scripted"]
        assert shown[5:8] == ["1", "w1", "runs"]
        shown = await cells(page, "waiting")
        assert shown[6] == f"for the turn before it, {running.job_id}"
        shown = await cells(page, "failed")
        assert (shown[0], shown[6]) == (failed.job_id, "generation failed")
        assert await tab.serious() == []
        for sought, jobs in (
            ("req_1", [failed.job_id]),
            (waiting.job_id, [waiting.job_id]),
            ("none", []),
            (running.conversation_id, [waiting.job_id, running.job_id]),
        ):
            await page.get_by_label("Find a turn").fill(sought)
            await page.get_by_role("button", name="Find").click()
            await expect(page.locator("#found th")).to_have_text(jobs)
        await expect(page.locator("#found-count")).to_have_text("2 turns.")
        assert await tab.serious() == []
        assert SECRET not in await page.content()
        for width in (320, 390, 1280):
            await page.set_viewport_size({"width": width, "height": 800})
            beyond = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert beyond <= 0, "nothing sticks out at the side"


async def test_turns_are_requeued_and_cancelled(context: BrowserContext, bench: Bench) -> None:
    running = await bench.submit()
    await bench.claim()
    waiting = await bench.submit(running.conversation_id)
    async with (
        running_api(bench.settings) as client,
        open_tab(context, f"{client.base_url}/ops") as tab,
    ):
        page = tab.page
        await page.get_by_role("button", name=f"Requeue {running.job_id}").click()
        await expect(page.locator("#done")).to_contain_text("in the line again")
        await expect(page.locator("#waiting th")).to_have_text([running.job_id, waiting.job_id])
        await expect(page.locator("#running-count")).to_have_text("None.")
        cancel = page.get_by_role("button", name=f"Cancel {running.job_id}")
        await cancel.click()
        await page.get_by_role("button", name="Back").click()
        await expect(page.locator("#waiting th")).to_have_count(2)
        await cancel.click()
        assert await tab.serious() == []
        await page.get_by_role("button", name="Cancel the turn").click()
        await expect(page.locator("#waiting th")).to_have_text([waiting.job_id])
        await expect(page.locator("#waiting td").nth(5)).to_contain_text("for a free slot: place 1")


async def test_usage_is_shown_by_model_and_day(context: BrowserContext, bench: Bench) -> None:
    await bench.submit()
    await bench.claims.commit(claim := await bench.claim(), completion(claim, cached_tokens=3))
    async with (
        running_api(bench.settings) as client,
        open_tab(context, f"{client.base_url}/ops") as tab,
    ):
        wanted = ["–", "scripted", "1", "7", "3", "2", "0"]
        assert await cells(tab.page, "usage") == wanted
        day = tab.page.get_by_label("Of", exact=True)
        await expect(day.locator("option")).to_have_count(2)
        await day.select_option(index=1)
        assert await cells(tab.page, "usage") == wanted
        assert await tab.serious() == []


async def test_a_worker_is_drained_after_it_was_confirmed(
    context: BrowserContext, bench: Bench
) -> None:
    async with (
        running_api(bench.settings) as client,
        open_tab(context, f"{client.base_url}/ops") as tab,
    ):
        await tab.page.get_by_role("button", name="Drain w1").click()
        await expect(tab.page.locator("#confirm-title")).to_have_text("Drain worker w1?")
        await tab.page.get_by_role("button", name="Drain the worker").click()
        await expect(tab.page.locator("#done")).to_have_text("The worker drains.")
        await expect(tab.page.locator("#workers td").first).to_have_text("draining")
        await expect(tab.page.get_by_role("button", name="Drain w1")).to_have_count(0)


async def test_a_button_in_focus_keeps_it_while_figures_change(
    context: BrowserContext, bench: Bench
) -> None:
    first = await bench.submit()
    second = await bench.submit()
    async with (
        running_api(bench.settings) as client,
        open_tab(context, f"{client.base_url}/ops") as tab,
    ):
        button = tab.page.get_by_role("button", name=f"Cancel {second.job_id}")
        await button.focus()
        await bench.submissions.cancel(first.job_id, "default")
        await expect(tab.page.locator("#waiting th")).to_have_text([second.job_id])
        await expect(button).to_be_focused()


async def test_strangers_see_figures_and_no_turns(context: BrowserContext, bench: Bench) -> None:
    settings = bench.settings.model_copy(update={"allow_open": True})
    await bench.submit()
    async with (
        running_api(settings) as client,
        open_tab(context, f"{client.base_url}/ops") as tab,
    ):
        await figure(tab.page, "now", "Waiting turns", "1")
        await expect(tab.page.locator("#workers tr")).to_have_count(1)
        await expect(tab.page.locator("#turns")).to_be_hidden()
        await expect(tab.page.get_by_role("button", name="Drain")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_charts_values_are_read_with_pointer_and_keyboard(
    browser: Browser, bench: Bench, scheme: Literal["light", "dark"]
) -> None:
    settings = bench.settings.model_copy(update={"heartbeat": 1.0})
    context = await browser.new_context(color_scheme=scheme)
    async with running_api(settings) as client:
        async with asyncio.timeout(20):
            while len((await client.get("/ops/data")).json()["points"]) < 2:
                await asyncio.sleep(0.05)
        await bench.submit()
        await until_waiting(client, 1)
        async with open_tab(context, f"{client.base_url}/ops") as tab:
            queue = tab.page.get_by_role("slider", name="Queue", exact=True)
            values = tab.page.locator("figcaption strong").first
            await expect(values).to_have_text("1 · 1")
            await queue.focus()
            await queue.press("Home")
            at = r"\d\d:\d\d:\d\d"
            await expect(queue).to_have_attribute(
                "aria-valuetext", re.compile(f"^{at}: waiting 0, open 0$")
            )
            await expect(values).to_have_text(re.compile(f"^{at}: 0 · 0$"))
            await queue.press("End")
            await expect(values).to_have_text(re.compile(f"^{at}: 1 · 1$"))
            assert await tab.serious() == []
            await queue.blur()
            await expect(values).to_have_text("1 · 1")
            await tab.page.get_by_role("slider", name="Workers", exact=True).hover(
                position={"x": 0, "y": 9}
            )
            workers = tab.page.locator("figcaption strong").last
            await expect(workers).to_have_text(re.compile(f"^{at}: 1$"))
            labels = tab.page.locator("figure").first.locator(".times span")
            await expect(labels.first).to_have_text(re.compile(f"^{at}$"))
            assert await tab.serious() == []
    await context.close()


@pytest.mark.timeout(180)
async def test_a_lost_worker_is_seen(context: BrowserContext, palaver: Palaver) -> None:
    async with (
        httpx.AsyncClient(base_url=palaver.url, timeout=60) as client,
        open_tab(context, f"{palaver.url}/ops") as tab,
    ):
        await expect(tab.page.locator("#workers tr")).to_have_count(2)
        await figure(tab.page, "now", "Turns / slots", "0 / 2")
        # The processor's or the GPU's name, as the heartbeat tells it.
        await expect(tab.page.locator("#workers tr td").nth(2)).not_to_be_empty()
        body = {"prompt": LONG, "max_tokens": 300, "ignore_eos": True}
        job = (await client.post("/jobs", json=body)).json()["job"]
        [worker] = await until_running(palaver, 1)
        os.kill(worker, signal.SIGKILL)
        ended = (await client.get(f"/jobs/{job}?wait=60")).json()
        assert (ended["status"], ended["attempts"]) == ("completed", 2)
        await client.post("/", json={"prompt": "Hello."})
        await figure(tab.page, "sums", "Turns taken over", "1")
        await figure(tab.page, "sums", "Workers started", re.compile("[1-9]"))
        await figure(tab.page, "sums", "Reply tokens", re.compile("[1-9]"))
        await figure(tab.page, "now", "First token, median", re.compile("s$"))
        assert await tab.serious() == []
