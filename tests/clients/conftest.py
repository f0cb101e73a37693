"""What the tests of other people's clients share."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from shared.config import Settings
from tests.clients.serving import Served, served
from tests.scripted import Script, ScriptedEngine

Serve = Callable[[Script | ScriptedEngine], Served[ScriptedEngine]]


@pytest.fixture
def serve(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Serves a script or an engine; clients that look for OpenAI in the environment find it."""
    with ExitStack() as running:

        def start(script: Script | ScriptedEngine) -> Served[ScriptedEngine]:
            if not isinstance(script, ScriptedEngine):
                script = ScriptedEngine(script, piece_length=4)
            server = running.enter_context(served(settings, script))
            monkeypatch.setenv("OPENAI_BASE_URL", server.openai_url)
            monkeypatch.setenv("OPENAI_API_KEY", "none")
            return server

        yield start
