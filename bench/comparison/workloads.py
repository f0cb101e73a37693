"""What the users do: seeded conversations, the same for every engine and in every round."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bench.comparison.text import Author

WINDOW: Final = 2048
SHORT_WINDOW: Final = 1024
LONG_WINDOW: Final = 4096
REPLY_TOKENS: Final = 48
STREAM_TOKENS: Final = 384
DOCUMENT_WORDS: Final = 2700
"""About 3,000 tokens."""


@dataclass(frozen=True)
class Conversation:
    """One user: a system prompt, what they say turn by turn, and how long each reply is."""

    system: str
    prompts: tuple[str, ...]
    reply_tokens: int = REPLY_TOKENS


@dataclass(frozen=True)
class Workload:
    """Conversations that begin at once, each going on as soon as its reply is complete.

    Args:
        name: as on the command line.
        title: as in the report.
        conversations: the users.
        window: tokens of prompt and reply together that each conversation may have.
        thinking_s: between a reply and the next prompt.
        in_flight: how many of the users wait for a reply at a time; the others are silent
            meanwhile, and take turns in order.
        later_from: the turn, counted from 0, from which on turns count as later ones.
        intruder: begins when the other streams have run for a second.
    """

    name: str
    title: str
    conversations: tuple[Conversation, ...]
    window: int = WINDOW
    thinking_s: float = 0.0
    in_flight: int = sys.maxsize
    later_from: int = 1
    intruder: Conversation | None = None


def conversation(author: Author, turns: int, persona: str | None = None) -> Conversation:
    """A user with a persona of their own, unless they share one."""
    system = persona or author.persona()
    return Conversation(system, tuple(author.prompt() for _ in range(turns)))


def own_personas(author: Author) -> Workload:
    users = tuple(conversation(author, 4) for _ in range(8))
    return Workload("own", "8 users × 4 turns, own system prompts", users)


def shared_persona(author: Author) -> Workload:
    persona = author.persona()
    users = tuple(conversation(author, 4, persona) for _ in range(8))
    return Workload("shared", "8 users × 4 turns, one shared system prompt", users)


def more_users_than_slots(author: Author) -> Workload:
    """As many turns at a time as slots, but three times as many conversations to keep warm."""
    users = tuple(conversation(author, 3) for _ in range(24))
    title = "24 users on 8 slots, 3 turns; 8 of them wait for a reply at a time"
    return Workload("many", title, users, in_flight=8)


def one_user(author: Author) -> Workload:
    return Workload("one", "one user, 8 turns", (conversation(author, 8),))


def past_the_window(author: Author) -> Workload:
    """The window is full after eight or nine turns."""
    return Workload(
        "long",
        "one long conversation past its window of 1,024 tokens, 2 s of thinking",
        (conversation(author, 26),),
        window=SHORT_WINDOW,
        thinking_s=2.0,
        later_from=10,
    )


def long_prompt_among_streams(author: Author) -> Workload:
    streams = tuple(
        Conversation(author.persona(), (author.prompt(),), STREAM_TOKENS) for _ in range(7)
    )
    return Workload(
        "burst",
        "a prompt of about 3,000 tokens arriving among 7 streams",
        streams,
        window=LONG_WINDOW,
        intruder=Conversation(author.persona(), (author.document(DOCUMENT_WORDS),)),
    )


_MAKERS: Final[dict[str, Callable[[Author], Workload]]] = {
    "own": own_personas,
    "shared": shared_persona,
    "many": more_users_than_slots,
    "one": one_user,
    "long": past_the_window,
    "burst": long_prompt_among_streams,
}
NAMES: Final = tuple(_MAKERS)


def make_workload(name: str, seed: int) -> Workload:
    """A workload by name; no two have a persona in common."""
    return _MAKERS[name](Author(f"{seed} {name}"))


def warm_up(seed: int) -> Workload:
    """A short talk with a server that has just started; what it says comes up nowhere else."""
    return Workload("warm-up", "", (conversation(Author(f"{seed} warm-up"), 2),))
