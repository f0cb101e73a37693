"""A server may forget the scripts at any moment: flushed, restarted, failed over."""

from pathlib import Path

from tests.proxy import running_forgetful_server
from tests.scripted import ScriptedEngine
from tests.servers import make_settings, running_stack, running_valkey


async def test_nothing_fails_where_scripts_are_forgotten_before_every_call(tmp_path: Path) -> None:
    with running_valkey() as valkey:
        async with running_forgetful_server(tmp_path, valkey.socket) as url:
            settings = make_settings(url)
            async with running_stack(settings, ScriptedEngine(piece_length=4)) as stack:
                first = await stack.ask("One.")
                second = await stack.ask("Two.", id=first["id"])
                job = (await stack.client.get(f"/jobs/{second['job']}")).json()
    assert second["window"]["turns_kept"] == 2
    assert (job["status"], job["attempts"]) == ("completed", 1)
