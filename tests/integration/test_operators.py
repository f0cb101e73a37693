"""Operators: what they alone may see, and who is one."""

from pathlib import Path

from api.http.key_entries import Role
from shared.wire.limits import NO_LIMITS
from tests.integration.test_access import operations, running_guarded
from tests.servers import Valkey, make_settings, running_stack

FIGURES = {"/metrics", "/ops", "/ops/data"}


def is_operated(path: str) -> bool:
    return path.startswith("/ops/") and path not in FIGURES


async def test_a_users_key_opens_nothing_of_the_operators(valkey: Valkey, tmp_path: Path) -> None:
    async with running_guarded(valkey, tmp_path) as guarded:
        client, user = guarded.stack.client, guarded.headers("user")
        secret = guarded.keys.create("olga", NO_LIMITS, "operator")
        operator = {"Authorization": f"Bearer {secret}"}
        for method, path in await operations(client):
            if is_operated(path) or path in FIGURES:
                refused = await client.request(method, path, headers=user, json={})
                assert (refused.status_code, refused.json()["code"]) == (403, "operator_required")
                allowed = await client.request(method, path, headers=operator, json={})
                assert allowed.status_code != 403, path


async def test_a_role_that_is_given_or_taken_counts_at_once(valkey: Valkey, tmp_path: Path) -> None:
    async with running_guarded(valkey, tmp_path) as guarded:
        client, headers = guarded.stack.client, guarded.headers("ann")
        steps: tuple[tuple[Role, int], ...] = (("user", 403), ("operator", 200), ("user", 403))
        for role, status in steps:
            guarded.keys.give_role("ann", role)
            assert (await client.get("/metrics", headers=headers)).status_code == status


async def test_without_keys_turns_are_shown_at_the_servers_own_machine_only(valkey: Valkey) -> None:
    cases: tuple[tuple[dict[str, int], bool], ...] = (
        ({}, True),
        ({"PALAVER_ALLOW_OPEN": 1}, False),
        ({"PALAVER_ALLOW_OPEN": 1, "PALAVER_OPEN_LIST": 1}, False),
        ({"PALAVER_OPEN_LIST": 0}, False),
    )
    for variables, is_shown in cases:
        async with running_stack(make_settings(valkey.url, **variables)) as stack:
            for path in FIGURES:
                assert (await stack.client.get(path)).status_code == 200
            for method, path in await operations(stack.client):
                if is_operated(path):
                    answer = await stack.client.request(method, path, json={})
                    detail = answer.json().get("detail", "")
                    assert (answer.status_code == 404 and "operators" in detail) != is_shown
