"""`/personas`: an owner's library of instructions."""

from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from api.http.keys import KeyFile
from shared.store.keys import Keys
from shared.store.personas import MOST_PERSONAS
from shared.wire.limits import NO_LIMITS
from tests.scripted import ScriptedEngine
from tests.servers import Stack, Valkey, make_settings, running_stack

TEACHER = {"name": "Latin teacher", "context": "You teach Latin."}
PIRATE = {"name": "a pirate", "context": "Arr.", "model": "scripted"}


async def kept(stack: Stack, **headers: str) -> list[dict[str, Any]]:
    answer = await stack.client.get("/personas", headers=headers)
    assert answer.status_code == 200, answer.text
    personas: list[dict[str, Any]] = answer.json()["personas"]
    return personas


async def test_personas_are_kept_replaced_listed_by_name_and_deleted(valkey: Valkey) -> None:
    async with running_stack(make_settings(valkey.url), ScriptedEngine()) as stack:
        made = await stack.client.put("/personas/latin", json=TEACHER)
        await stack.client.put("/personas/pirate", json=PIRATE)
        again = await stack.client.put("/personas/latin", json={**TEACHER, "context": "Salve."})
        listed = await kept(stack)
        gone = [(await stack.client.delete("/personas/pirate")).status_code for _ in range(2)]
        left = await kept(stack)
    assert (made.status_code, again.status_code, gone) == (201, 200, [204, 404])
    assert made.json()["id"] == "latin"
    assert [(each["id"], each["context"], each.get("model")) for each in listed] == [
        ("pirate", "Arr.", "scripted"),
        ("latin", "Salve.", None),
    ]
    assert [each["id"] for each in left] == ["latin"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": " "},
        {"name": "x" * 101},
        {"context": "x" * 32_769},
        {"context": None},
        {"model": ""},
        {"colour": "red"},
    ],
)
async def test_what_is_wrong_is_named(valkey: Valkey, wrong: dict[str, Any]) -> None:
    async with running_stack(make_settings(valkey.url), ScriptedEngine()) as stack:
        answer = await stack.client.put("/personas/latin", json={**TEACHER, **wrong})
        assert await kept(stack) == []
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == list(wrong)


@pytest.mark.parametrize("persona_id", ["Latin", "-a", "a_b", "x" * 65, "%C3%A9"])
async def test_an_id_that_cannot_be_is_not_found(valkey: Valkey, persona_id: str) -> None:
    async with running_stack(make_settings(valkey.url), ScriptedEngine()) as stack:
        answer = await stack.client.put(f"/personas/{persona_id}", json=TEACHER)
    assert answer.status_code == 404


async def test_there_are_only_so_many(valkey: Valkey, redis: Redis) -> None:
    settings = make_settings(valkey.url)
    async with running_stack(settings, ScriptedEngine()) as stack:
        for number in range(MOST_PERSONAS):
            await stack.client.put(f"/personas/p{number}", json=TEACHER)
        refused = await stack.client.put("/personas/one-more", json=TEACHER)
        replaced = await stack.client.put("/personas/p0", json=PIRATE)
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_personas")
    assert replaced.status_code == 200


async def test_each_key_has_its_own(valkey: Valkey, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    file = KeyFile(path)
    ann, bob = (
        {"Authorization": f"Bearer {file.create(name, NO_LIMITS)}"} for name in ("ann", "bob")
    )
    settings = make_settings(valkey.url, PALAVER_API_KEYS_FILE=path)
    async with running_stack(settings, ScriptedEngine()) as stack:
        await stack.client.put("/personas/latin", json=TEACHER, headers=ann)
        assert await kept(stack, **bob) == []
        foreign = await stack.client.delete("/personas/latin", headers=bob)
        assert [each["id"] for each in await kept(stack, **ann)] == ["latin"]
    assert foreign.status_code == 404


async def test_an_open_server_shows_them_to_nobody(valkey: Valkey) -> None:
    settings = make_settings(valkey.url, PALAVER_OPEN_LIST=0)
    async with running_stack(settings, ScriptedEngine()) as stack:
        answers = [
            await stack.client.get("/personas"),
            await stack.client.put("/personas/latin", json=TEACHER),
            await stack.client.delete("/personas/latin"),
        ]
    assert [answer.status_code for answer in answers] == [404, 404, 404]


async def test_nothing_is_left_of_those_that_were_deleted(valkey: Valkey, redis: Redis) -> None:
    settings = make_settings(valkey.url)
    async with running_stack(settings, ScriptedEngine()) as stack:
        await stack.client.put("/personas/latin", json=TEACHER)
        await stack.client.delete("/personas/latin")
    assert await redis.exists(Keys(settings.namespace).personas("default")) == 0
