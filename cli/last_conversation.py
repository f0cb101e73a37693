"""What `palaver chat` keeps for its next start: the last conversation, and a history of prompts."""

import contextlib
import json
import os
from pathlib import Path


def state_file() -> Path:
    """The file that holds the last conversation's id."""
    return _folder() / "conversation"


def history_file() -> Path:
    """The file that holds prompts, to be had again."""
    return _folder() / "history"


def _folder() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "palaver"


class LastConversation:
    """Remembers this user's last conversation on each server.

    Without API keys, anybody who knows the id can read the conversation: only the user may read
    the file.
    """

    def __init__(self, path: Path, url: str) -> None:
        self._path = path
        self._url = url

    def read(self) -> int | None:
        return self._all().get(self._url)

    def write(self, conversation_id: int | None) -> None:
        ids = self._all()
        ids.pop(self._url, None)
        if conversation_id is not None:
            ids[self._url] = conversation_id
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch(mode=0o600)
            self._path.write_text(json.dumps(ids), encoding="utf-8")

    def _all(self) -> dict[str, int]:
        with contextlib.suppress(OSError, ValueError):
            return dict(json.loads(self._path.read_text(encoding="utf-8")))
        return {}
