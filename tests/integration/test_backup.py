"""`palaver backup` and `palaver restore`: what is lost comes back, and nothing else changes."""

import asyncio
import gzip
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError

from api.http.keys import KeyFile
from cli.backup.file import BackupRefused, Reader
from cli.backup.restoring import WouldReplace, restore
from cli.backup.saving import back_up
from shared.config import Settings
from shared.store.archive import Archive
from shared.store.keys import PATTERNS, Keys
from shared.wire.backup import ConversationRecord
from shared.wire.limits import NO_LIMITS
from tests.integration.bench import Bench, completion
from tests.integration.test_cli import palaver
from tests.scripted import ScriptedEngine
from tests.servers import (
    Stack,
    Valkey,
    environment,
    make_settings,
    running_stack,
    running_valkey,
)

ROOT = Path(__file__).resolve().parents[2]
CONVERSATIONS, MESSAGES = 100, 100


@pytest.fixture
def archive(redis: Redis, keys: Keys, settings: Settings) -> Archive:
    return Archive(redis, keys, settings)


async def wipe(redis: Any, settings: Settings) -> None:
    """Everything is lost."""
    names = [name async for name in redis.scan_iter(f"{settings.namespace}:*")]
    await redis.delete(*names)


async def everything(redis: Any, settings: Settings) -> dict[str, bytes]:
    """All keys, as Redis serializes them."""
    raw = redis.connection_pool.connection_kwargs | {"decode_responses": False}
    client: Any = Redis(unix_socket_path=raw["path"], decode_responses=False)
    async with client:
        names = [name async for name in client.scan_iter(f"{settings.namespace}:*")]
        return {name.decode(): await client.dump(name) for name in names}


async def all_of(client: httpx.AsyncClient) -> dict[str, Any]:
    """What an owner sees of all its conversations and personas."""

    async def get(path: str) -> Any:
        answer = await client.get(path)
        return answer.json() if answer.status_code == 200 else answer.status_code

    listed = (await get("/conversations?limit=500"))["conversations"]
    shown = {
        one["id"]: [
            await get(f"/conversations/{one['id']}/{what}")
            # Who asks for too much that is not there is told to wait.
            for what in ("messages?limit=500", "alternatives", *["share"][: one["pinned"]])
        ]
        for one in listed
    }
    return {"listed": listed, "shown": shown, "personas": await get("/personas")}


def histories() -> Iterator[dict[str, Any]]:
    for number in range(CONVERSATIONS):
        yield {
            "title": f"No. {number}",
            "messages": [
                {"role": ("user", "assistant")[at % 2], "content": f"{number}: {at} \u2028 ü 🦙"}
                for at in range(MESSAGES)
            ],
        }


async def respond(client: httpx.AsyncClient, text: str, **fields: Any) -> str:
    answer = await client.post("/v1/responses", json={"model": "any", "input": text, **fields})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


async def lived_in(stack: Stack) -> int:
    """Conversations with all that one can have; returns one's id."""
    client = stack.client
    first = await stack.ask("First.", context="Be brief.")
    path = f"/conversations/{first['id']}"
    await stack.ask("Second.", id=first["id"])
    await stack.ask("Another second.", id=first["id"], replace_from=3)
    await client.patch(path, json={"title": "Kept", "pinned": True, "metadata": {"a": "b"}})
    assert (await client.put(f"{path}/share")).status_code == 200
    persona = {"name": "Cook", "context": "You cook."}
    assert (await client.put("/personas/cook-1", json=persona)).status_code in (200, 201)
    response = await respond(client, "Alone.")
    for text in ("Behind it.", "In a copy, behind it."):
        await respond(client, text, previous_response_id=response)
    await client.post(
        "/conversations",
        json={
            "messages": [
                {"role": "user", "content": "Weather?"},
                {
                    "role": "assistant",
                    "content": "",
                    "tool_calls": [{"id": "c", "name": "weather", "arguments": "{}"}],
                },
                {"role": "tool", "content": "Rain.", "call_id": "c"},
            ]
        },
    )
    return int(first["id"])


@pytest.mark.slow
async def test_everything_that_was_lost_comes_back(
    settings: Settings, redis: Redis, tmp_path: Path
) -> None:
    """Ten thousand messages and one of everything else, by the commands themselves."""
    settings = settings.model_copy(update={"sharing": True})
    variables = {"REDIS_URL": str(settings.redis_url), "PALAVER_NAMESPACE": settings.namespace}

    async def run(*arguments: str) -> str:
        async with palaver(tmp_path, *arguments, **variables) as command:
            assert await command.ends() == 0, command.text
        return command.text

    file = str(tmp_path / "everything.gz")
    async with running_stack(settings, ScriptedEngine()) as stack:
        for history in histories():
            created = await stack.client.post("/conversations", json=history)
            assert created.status_code == 201, created.text
        kept = await lived_in(stack)
        before = await all_of(stack.client)
        told = await run("backup", file)
        assert f"{CONVERSATIONS + 4} conversations with 10,0" in told
        assert ", 1 persona, 0 API keys." in told
        await wipe(redis, settings)

        restored = await run("restore", file)
        assert restored.replace("Restored", "") in told.replace("has", "").split(file)[1]
        assert await all_of(stack.client) == before
        async with asyncio.timeout(20):  # the worker says again that it is there
            while (await stack.client.get("/readyz")).status_code != 200:
                await asyncio.sleep(0.05)
        answer = await stack.ask("Third.", id=kept)
        assert answer["window"]["turns_kept"] == 3
        (alternative,) = (await stack.client.get(f"/conversations/{kept}/alternatives")).json()[
            "alternatives"
        ]
        path = f"/conversations/{kept}/alternatives/{alternative['id']}"
        assert (await stack.client.post(path)).status_code == 200


async def test_a_backup_made_while_turns_run_has_whole_turns(
    settings: Settings, redis: Redis, archive: Archive, tmp_path: Path
) -> None:
    async with running_stack(settings, ScriptedEngine(slots=4)) as stack:
        first = [await stack.ask("Turn 1.") for _ in range(4)]
        done = asyncio.Event()

        async def talk(conversation: int) -> None:
            turns = 1
            while not done.is_set():
                await stack.ask("Next.", id=conversation)
                await stack.ask("Next.", id=conversation)
                turns += 2
                await stack.ask("Better.", id=conversation, replace_from=2 * turns - 1)

        talks = [asyncio.create_task(talk(answer["id"])) for answer in first]
        lengths = set[int]()
        path = tmp_path / "file"
        while len(lengths) < 12:
            await back_up(archive, settings, path)
            for record in Reader(path).records():
                assert not isinstance(record, ConversationRecord) or is_whole(record)
                lengths.add(len(getattr(record, "messages", ())))
        done.set()
        await asyncio.gather(*talks)


def is_whole(record: ConversationRecord) -> bool:
    """Whether all that a turn changes was changed."""
    roles = [orjson.loads(text)["r"] for text in record.messages]
    fields = record.fields
    return (
        roles == ["u", "a"] * (len(roles) // 2)
        and int(fields["next"]) - int(fields["first"]) == len(roles)
        and int(fields["turns"]) == len(roles) // 2
        and orjson.loads(fields["window"])["turns_kept"] > 0
    )


async def test_what_had_no_reply_yet_is_left_out_and_told(
    bench: Bench, archive: Archive, settings: Settings, tmp_path: Path
) -> None:
    ended = await bench.submit()
    claim = await bench.claim()
    await bench.claims.commit(claim, completion(claim))
    await bench.submit(ended.conversation_id, prompt="Later")
    await bench.submit(prompt="New")
    told = await back_up(archive, settings, tmp_path / "file")
    assert "1 conversation with 2 messages" in told
    assert "Not in it: 1 prompts that had no reply yet." in told


async def prepared(bench: Bench, archive: Archive, settings: Settings, path: Path) -> str:
    """A conversation of one turn, and a backup of it; returns the id."""
    submission = await bench.submit()
    claim = await bench.claim()
    await bench.claims.commit(claim, completion(claim))
    await back_up(archive, settings, path)
    return submission.conversation_id


async def test_a_restore_can_be_repeated(
    bench: Bench, archive: Archive, settings: Settings, redis: Redis, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    await prepared(bench, archive, settings, path)
    await bench.submit(prompt="Begun since")
    before = await everything(redis, settings)
    told = await restore(archive, settings, path, replace=False)
    assert "Restored 0 conversations" in told
    assert "There already: 1 conversation with 2 messages" in told
    assert await everything(redis, settings) == before


async def test_what_has_changed_since_is_replaced_only_on_request(
    bench: Bench, archive: Archive, settings: Settings, redis: Redis, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    conversation = await prepared(bench, archive, settings, path)
    await bench.submit(conversation, prompt="Second")
    claim = await bench.claim()
    await bench.claims.commit(claim, completion(claim, number=3))
    waiting = await bench.submit(conversation, prompt="Third")
    before = await everything(redis, settings)
    with pytest.raises(WouldReplace, match=f"conversation {conversation}: there already"):
        await restore(archive, settings, path, replace=False)
    assert await everything(redis, settings) == before

    told = await restore(archive, settings, path, replace=True)
    assert "Restored 1 conversation with 2 messages" in told
    assert len(await bench.messages(conversation)) == 2
    assert (await bench.redis.hget(bench.keys.job(waiting.job_id), "status")) == "cancelled"
    assert await bench.leftovers() == set()
    listed = await bench.conversations.list("default", 10, None)
    assert [str(one["id"]) for one in listed["conversations"]] == [conversation]


async def test_a_copy_stays_known_as_one_when_its_original_is_replaced(
    bench: Bench, archive: Archive, settings: Settings, redis: Redis, tmp_path: Path
) -> None:
    first = await bench.submit()
    claim = await bench.claim()
    await bench.claims.commit(claim, completion(claim))
    for _ in range(2):  # the second one continues a copy
        await bench.submit(new=False, behind=first.job_id)
        claim = await bench.claim()
        await bench.claims.commit(claim, completion(claim, number=3))
    path = tmp_path / "file"
    await back_up(archive, settings, path)
    families = [name async for name in redis.scan_iter(f"{settings.namespace}:family:*")]
    members = await bench.redis.smembers(families[0])
    assert len(members) == 2
    await bench.redis.hset(bench.keys.conversation(first.conversation_id), "title", "Changed")
    await restore(archive, settings, path, replace=True)
    assert await bench.redis.smembers(families[0]) == members
    for member in members:
        assert await bench.redis.hget(bench.keys.conversation(member), "family")


def cut(text: bytes) -> bytes:
    return text[: len(text) // 2]


def without_end(text: bytes) -> bytes:
    return b"".join(text.splitlines(keepends=True)[:-1])


def changed(text: bytes) -> bytes:
    assert b"Hello" in text
    return text.replace(b"Hello", b"Hullo")


def newer(text: bytes) -> bytes:
    return text.replace(b'"palaver_backup":1', b'"palaver_backup":2', 1)


def of_newer_data(text: bytes) -> bytes:
    return text.replace(b'"data_format":"1"', b'"data_format":"99"', 1)


WRONG: list[tuple[Callable[[bytes], bytes], str]] = [
    (lambda _: b"", "not a backup of Palaver"),
    (lambda _: b"\x00\xff" * 5000, "not a backup of Palaver"),
    (lambda _: b'{"conversations": []}\n', "not a backup of Palaver"),
    (cut, "cut: its end is missing"),
    (without_end, "cut: its end is missing"),
    (lambda text: text[:-1] + b",", "cut: its end is missing"),
    (lambda text: text + b"{}\n", "something stands behind its end"),
    (changed, "damaged: it is not what was written"),
    (lambda text: text.replace(b'"kind":"conversation"', b'"kind":"other"'), "damaged: a line"),
    (newer, "it is of version 2, this version of Palaver restores up to 1"),
    (of_newer_data, "its data have format 99"),
    (lambda text: cut(gzip.compress(text)), "cut: its end is missing"),
    (lambda text: gzip.compress(text)[:-8] + b"\0" * 8, "damaged"),
]


@pytest.mark.parametrize(("spoil", "reason"), WRONG)
async def test_a_wrong_file_is_refused_by_name_and_changes_nothing(
    bench: Bench,
    archive: Archive,
    settings: Settings,
    redis: Redis,
    tmp_path: Path,
    spoil: Callable[[bytes], bytes],
    reason: str,
) -> None:
    path = tmp_path / "file"
    await prepared(bench, archive, settings, path)
    path.write_bytes(spoil(path.read_bytes()))
    await wipe(redis, settings)
    with pytest.raises(BackupRefused, match=reason) as refusal:
        await restore(archive, settings, path, replace=True)
    assert str(path) in str(refusal.value)
    assert await everything(redis, settings) == {}


async def test_a_backup_that_fails_leaves_the_one_before(
    settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with running_valkey() as server:
        here = make_settings(server.url)
        async with connected(server) as redis:
            archive = Archive(redis, Keys(here.namespace), here)
            await redis.hset(f"{here.namespace}:personas:a", "p", "1 {}")
            await redis.set(f"{here.namespace}:usage:a:1", "no number")
            with pytest.raises(ValueError, match="no number"):
                await back_up(archive, here, path)
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == [path.name]


def connected(server: Valkey) -> Any:
    return Redis(unix_socket_path=str(server.socket), decode_responses=True)


async def test_a_denied_restore_has_deleted_nothing(tmp_path: Path) -> None:
    with running_valkey() as server:
        settings = make_settings(server.url)
        async with connected(server) as redis:
            keys = Keys(settings.namespace)
            archive, bench = Archive(redis, keys, settings), Bench(redis, keys, settings)
            await bench.serve()
            conversation = await prepared(bench, archive, settings, tmp_path / "file")
            await bench.redis.hset(keys.conversation(conversation), "title", "Changed")
            before = await everything(redis, settings)
            await redis.config_set("maxmemory", "1mb")
            records = Reader(tmp_path / "file").records()
            (record,) = (each for each in records if isinstance(each, ConversationRecord))
            with pytest.raises(OutOfMemoryError):
                await archive.restore(record, replace=True)
            assert await everything(redis, settings) == before


async def test_what_owners_have_used_counts_once(
    bench: Bench, archive: Archive, settings: Settings, redis: Any, tmp_path: Path
) -> None:
    await bench.submit(owner="alice")
    claim = await bench.claim()
    await bench.claims.commit(claim, completion(claim))
    path = tmp_path / "file"
    await back_up(archive, settings, path)
    counted = {
        name: value
        for name, value in (await everything(redis, settings)).items()
        if name.split(":")[1] in ("usage", "counted")
    }
    assert len(counted) == 2
    await wipe(redis, settings)
    for _ in range(2):
        await restore(archive, settings, path, replace=False)
        now = await everything(redis, settings)
        assert {name: now[name] for name in counted} == counted
    for name in counted:
        assert await redis.pttl(name) > 0
    # What was used since counts as well.
    await bench.serve()
    for _ in range(2):
        await bench.submit(owner="alice")
        claim = await bench.claim()
        await bench.claims.commit(claim, completion(claim))
    before = await everything(redis, settings)
    await restore(archive, settings, path, replace=False)
    assert await everything(redis, settings) == before


async def test_api_keys_come_back_and_are_never_changed_unasked(
    archive: Archive, settings: Settings, tmp_path: Path
) -> None:
    keys_file = tmp_path / "keys.json"
    with_keys = settings.model_copy(update={"api_keys_file": keys_file})
    file = KeyFile(keys_file)
    file.create("alice", NO_LIMITS)
    path = tmp_path / "file"
    assert "1 API key." in await back_up(archive, with_keys, path)
    assert "plv_" not in path.read_text()
    before = file.read().keys

    keys_file.unlink()
    told = await restore(archive, settings, path, replace=False)
    assert "Left out: 1 API keys. PALAVER_API_KEYS_FILE" in told
    assert not keys_file.exists()
    await restore(archive, with_keys, path, replace=False)
    assert file.read().keys == before

    file.give_role("alice", "operator")
    with pytest.raises(WouldReplace, match="API key 'alice'"):
        await restore(archive, with_keys, path, replace=False)
    assert file.read().keys[0].role == "operator"
    await restore(archive, with_keys, path, replace=True)
    assert file.read().keys == before


def documentation() -> str:
    return (ROOT / "docs" / "backup.md").read_text(encoding="utf-8")


def test_every_kind_of_key_is_backed_up_or_its_reason_is_given() -> None:
    """docs/backup.md has a row for every pattern."""
    text = documentation()
    for pattern in PATTERNS.values():
        assert f"`{pattern.replace('{}', '…')}`" in text, pattern


@pytest.mark.slow
async def test_an_export_can_be_imported(settings: Settings, redis: Redis, tmp_path: Path) -> None:
    variables = {"REDIS_URL": str(settings.redis_url), "PALAVER_NAMESPACE": settings.namespace}
    settings = settings.model_copy(update={"sharing": True})
    file = tmp_path / "export.json"
    async with running_stack(settings, ScriptedEngine()) as stack:
        await lived_in(stack)
        async with palaver(tmp_path, "export", "--all", str(file), **variables) as command:
            assert await command.ends() == 0, command.text
        assert "Exported 4 conversations with 1" in command.text
        exported = orjson.loads(file.read_bytes())["conversations"]
        ids = {one["id"] for one in exported}
        listed = (await stack.client.get("/conversations")).json()["conversations"]
        assert ids == {one["id"] for one in listed}
        for one in exported:
            page = await stack.client.get(f"/conversations/{one['id']}/messages")
            shown = [
                {k: v for k, v in message.items() if k != "alternatives"}
                for message in page.json()["messages"]
            ]
            assert one["messages"] == shown
            created = await stack.client.post("/conversations", json=one)
            assert created.status_code == 201, created.text


@pytest.mark.slow
async def test_the_documented_commands_do_what_they_say(
    bench: Bench, settings: Settings, tmp_path: Path
) -> None:
    """All of docs/backup.md, one after the other."""
    marked = r"<!-- run by \S+test_backup.py -->\n```sh\n(.*?)```"
    blocks = re.findall(marked, documentation(), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    assert len(lines) == 5
    KeyFile(tmp_path / "keys.json").create("alice", NO_LIMITS)
    (key,) = KeyFile(tmp_path / "keys.json").read().keys
    await bench.submit(owner=key.id)
    claim = await bench.claim()
    await bench.claims.commit(claim, completion(claim, reply="A reply."))
    variables = environment(
        REDIS_URL=str(settings.redis_url),
        PALAVER_NAMESPACE=settings.namespace,
        PALAVER_API_KEYS_FILE=str(tmp_path / "keys.json"),
        PYTHONPATH=str(ROOT),
    )
    shown = []
    for line in lines:
        if "jq" in line and shutil.which("jq") is None:
            continue
        process = await asyncio.create_subprocess_shell(
            line.replace(".venv/bin/palaver", f"{sys.executable} -m cli"),
            cwd=tmp_path,
            env=variables,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate()
        assert process.returncode == 0, out
        shown.append(out.decode())
    assert "1 conversation with 2 messages, 0 personas, 1 API key." in shown[0]
    assert "There already: 1 conversation" in shown[1]
    for name in ("conversations.json", "alice.json"):
        (exported,) = orjson.loads((tmp_path / name).read_bytes())["conversations"]
        assert exported["messages"][1]["content"] == "A reply."
