"""What a backup consists of: records of what belongs to owners, as Redis has it.

Whatever only the running system needs is in none of them: turns that have not ended, jobs, workers,
caches, and what can be made again from the rest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import ConfigDict, Field, TypeAdapter, with_config

from shared.wire.messages import StoredMessage, decode_messages
from shared.wire.models import ReplyModels

NOT_KEPT: Final = frozenset({"home", "saves_ms", "heading"})
"""Fields of a conversation that tell of a worker's cache, or are made again."""

_WHOLE = ConfigDict(strict=True)

Fields = dict[str, str]


@with_config(_WHOLE)
@dataclass(frozen=True, slots=True, kw_only=True)
class ListRecord:
    """A hash and its list of messages: an alternative, or what a link shows."""

    id: str
    fields: Fields
    messages: list[str]

    @classmethod
    def of(cls, record_id: str, fields: Sequence[str], messages: list[str]) -> "ListRecord":
        """From a script's answer."""
        return cls(id=record_id, fields=_pairs(fields), messages=messages)

    def arguments(self, name: str) -> dict[str, str]:
        """Its two lists as `restore.lua` takes them."""
        return numbered(f"{name}.fields", flat(self.fields)) | numbered(
            f"{name}.messages", self.messages
        )


@with_config(_WHOLE)
@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationRecord:
    """A conversation with its messages, its alternatives, and what its link shows."""

    kind: Literal["conversation"] = "conversation"
    id: str
    fields: Fields
    messages: list[str]
    alternatives: list[ListRecord]
    share: ListRecord | None

    @classmethod
    def decode(cls, conversation_id: str, answer: Sequence[Any]) -> "ConversationRecord":
        """From the answer of `dump.lua`."""
        fields, messages, alternatives, share, _ = answer
        return cls(
            id=conversation_id,
            fields={k: v for k, v in _pairs(fields).items() if k not in NOT_KEPT},
            messages=messages,
            alternatives=[ListRecord.of(*alternative) for alternative in alternatives],
            share=ListRecord.of(*share) if share else None,
        )

    @property
    def owner_id(self) -> str:
        return self.fields["owner"]

    @property
    def models(self) -> ReplyModels:
        return ReplyModels.decode(self.fields.get("models", ""))

    @property
    def decoded_messages(self) -> list[StoredMessage]:
        """The messages, each reply with the model that wrote it."""
        decoded = decode_messages(self.messages, int(self.fields["first"]))
        return [*map(self.models.named, decoded)]


@with_config(_WHOLE)
@dataclass(frozen=True, slots=True, kw_only=True)
class PersonasRecord:
    """An owner's personas, by id."""

    kind: Literal["personas"] = "personas"
    owner: str
    personas: Fields


@with_config(_WHOLE)
@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRecord:
    """What owners have used of each model on one day since the epoch, as Redis has the rows."""

    kind: Literal["usage"] = "usage"
    day: int
    rows: Fields


@with_config(_WHOLE)
@dataclass(frozen=True, slots=True, kw_only=True)
class TokensRecord:
    """The tokens that count for an owner's limit of a day."""

    kind: Literal["tokens"] = "tokens"
    owner: str
    day: int
    tokens: int


@with_config(_WHOLE)
@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """An API key as its file has it: with the SHA-256 of its secret."""

    kind: Literal["key"] = "key"
    entry: dict[str, Any]


StoredRecord = ConversationRecord | PersonasRecord | UsageRecord | TokensRecord
"""What Redis has."""
Record = StoredRecord | KeyRecord
_RECORD: Final[TypeAdapter[Record]] = TypeAdapter(Annotated[Record, Field(discriminator="kind")])


def encode_record(record: Record) -> bytes:
    """One line of JSON, without its end."""
    return orjson.dumps(record)


def decode_record(line: bytes) -> Record:
    """Read what `encode_record` returned; members of newer versions are ignored.

    Raises:
        ValueError: it is none of these records.
    """
    return _RECORD.validate_json(line)


def numbered(name: str, values: Sequence[str]) -> dict[str, str]:
    """A list as named arguments of a script."""
    return {f"{name}.{number}": value for number, value in enumerate(values, start=1)}


def flat(fields: Mapping[str, str]) -> list[str]:
    """Names and values in turn."""
    return [part for pair in fields.items() for part in pair]


def _pairs(values: Sequence[str]) -> Fields:
    return dict(zip(values[::2], values[1::2], strict=True))
