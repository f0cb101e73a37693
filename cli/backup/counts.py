"""How much a backup has, in words."""

from dataclasses import dataclass

from shared.wire.backup import ConversationRecord, KeyRecord, PersonasRecord, Record


@dataclass(slots=True, kw_only=True)
class Counts:
    """What was written or restored so far; counters of usage are not counted."""

    conversations: int = 0
    messages: int = 0
    personas: int = 0
    keys: int = 0

    def add(self, record: Record) -> None:
        match record:
            case ConversationRecord():
                self.conversations += 1
                self.messages += len(record.messages)
            case PersonasRecord():
                self.personas += len(record.personas)
            case KeyRecord():
                self.keys += 1

    def __str__(self) -> str:
        return (
            f"{_number(self.conversations, 'conversation')} with "
            f"{_number(self.messages, 'message')}, {_number(self.personas, 'persona')}, "
            f"{_number(self.keys, 'API key')}"
        )


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
