"""`palaver export`: conversations as API and chat page export them, of all owners or of one."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import orjson

from api.http.keys import KeyFile
from cli.backup.counts import Counts
from cli.backup.file import replacing
from shared.config import Settings
from shared.errors import ConfigError
from shared.store.archive import Archive, Dumped
from shared.wire.backup import ConversationRecord
from shared.wire.conversation import Conversation
from shared.wire.memory import MemoryMode
from shared.wire.objects import message_object


def _owner_of(settings: Settings, key_name: str) -> str:
    """The owner whose key has this name.

    Raises:
        ConfigError: there is none.
    """
    if settings.api_keys_file is None:
        raise ConfigError("PALAVER_API_KEYS_FILE is not set: it names the file of API keys")
    for key in KeyFile(settings.api_keys_file).read().keys:
        if key.name == key_name:
            return key.id
    raise ConfigError(f"there is no key named {key_name!r}")


async def export(
    archive: Archive, settings: Settings, key_name: str | None, path: Path | None
) -> str:
    """Write the conversations of a key, or of all if it is None; returns what to tell.

    Without a path they are written to standard output. `POST /conversations` and the chat page's
    *Import…* take them.
    """
    owner_id = None if key_name is None else _owner_of(settings, key_name)
    counts, separator = Counts(), b""
    with _output(path) as file:
        file.write(b'{"conversations": [\n')
        async for found in archive.records():
            if not isinstance(found, Dumped) or owner_id not in (None, found.record.owner_id):
                continue
            file.write(separator + orjson.dumps(exported(found.record)))
            separator = b",\n"
            counts.add(found.record)
        file.write(b"\n]}\n")
    return f"Exported {counts.conversations:,} conversations with {counts.messages:,} messages."


def exported(record: ConversationRecord) -> dict[str, Any]:
    """A conversation as `GET /conversations/{id}` has it, with its messages."""
    fields = record.fields
    conversation = Conversation(
        conversation_id=record.id,
        context=fields["context"],
        created_ms=int(fields["created"]),
        updated_ms=int(fields["updated"]),
        turns=int(fields["turns"]),
        tokens=int(fields["tokens"]),
        window=fields.get("window", ""),
        pending=(),
        model_name=fields.get("model", "") or record.models.last,
        title=fields.get("title"),
        heading=None,
        is_pinned="pinned" in fields,
        metadata=fields.get("metadata", "{}"),
        memory=cast("MemoryMode | None", fields.get("memory")),
    )
    messages = [message_object(message) for message in record.decoded_messages]
    return {**conversation.to_wire(), "messages": messages}


@contextlib.contextmanager
def _output(path: Path | None) -> Iterator[BinaryIO]:
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    else:
        with replacing(path) as file:
            yield file
