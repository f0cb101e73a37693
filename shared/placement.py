"""Which worker gets a turn: the policy alone.

The queue's scripts mirror it, and `bench.simulate` runs it. A conversation's home is the worker
that committed its last turn and still has its tokens in a cache. A turn waits for a busy home as
long as that pays, and a freed worker prefers turns whose home it is, both within bounds. All
milliseconds, tokens and tags are whole numbers: Lua and Python decide alike.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SLACK: Final = 4
"""Tags by which a turn may be served before another one that could have been served instead."""
OVERTAKE_MS: Final = 5_000
"""A turn is overtaken only by turns that became ready at most so long after it."""
MIN_SAVING_MS: Final = 20
"""A home that saves less is not worth a wait: about what one step of an engine takes."""
BELL_MS: Final = 500
"""How long a home that has a free slot may take to answer its bell, which can get lost."""
WAIT_FACTOR: Final = 2
"""A turn waits at most this many times what its home saves."""
LONGEST_WAIT_MS: Final = 10_000
"""PALAVER_AFFINITY_WAIT's default: the longest wait for a home, whatever it saves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """What is known of a living worker."""

    pool: str
    """The name of the model that it serves."""
    tokens_a_second: int
    """Prompt tokens that it evaluates in a second; 0 if it has not evaluated any."""
    has_free_slot: bool
    is_draining: bool


class Bell(StrEnum):
    """Who is woken for a turn that may start."""

    NOBODY = "nobody"
    HOME = "home"
    FREE = "free"
    """Of the workers with a free slot, the one that has waited longest for a turn from `ready`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Where a turn that may start is put."""

    at_home: bool
    """Whether it is put among its home's own turns, where it stays until it starts."""
    hold_ms: int
    """How long only its home may start it; 0: any worker may at once."""
    bell: Bell


COLD: Final = Offer(at_home=False, hold_ms=0, bell=Bell.FREE)


def next_tag(*, clock: int, last: int) -> int:
    """The tag of an owner's next turn.

    Args:
        clock: the highest tag served in the pool.
        last: the owner's last tag in the pool; 0 if it has none.
    """
    return max(clock, last) + 1


def saving_ms(*, warm: int, tokens_a_second: int) -> int:
    """What evaluating `warm` tokens would take, rounded down; 0 if the rate is not known."""
    return warm * 1000 // tokens_a_second if tokens_a_second > 0 else 0


def offer(
    *, pool: str, warm: int, home: Home | None, longest_wait_ms: int = LONGEST_WAIT_MS
) -> Offer:
    """Where a turn goes when it becomes ready.

    Args:
        pool: of the turn.
        warm: tokens of its conversation that its home's cache holds.
        home: None if there is none or it is dead.
        longest_wait_ms: bounds the wait for a home that is busy; 0 lets anyone start it at once.
    """
    if home is None or home.is_draining or home.pool != pool:
        return COLD
    saving = saving_ms(warm=warm, tokens_a_second=home.tokens_a_second)
    if saving < MIN_SAVING_MS:
        return COLD
    if home.has_free_slot:
        return Offer(at_home=True, hold_ms=BELL_MS, bell=Bell.HOME)
    hold_ms = min(WAIT_FACTOR * saving, longest_wait_ms)
    return Offer(at_home=True, hold_ms=hold_ms, bell=Bell.NOBODY if hold_ms else Bell.FREE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A turn that a worker could start."""

    tag: int
    readied_ms: int
    """When it became ready, whether it was held then or not."""


class Choice(StrEnum):
    """Which of the candidates a worker starts."""

    NOTHING = "nothing"
    OWN = "own"
    READY = "ready"
    HELD = "held"


def may_overtake(own: Candidate, ready: Candidate) -> bool:
    """Whether a worker's own turn may start before the line's next one; bounds included."""
    return own.readied_ms - ready.readied_ms <= OVERTAKE_MS and own.tag - ready.tag <= SLACK


def choose(
    *,
    own: Candidate | None,
    ready: Candidate | None,
    held: Candidate | None,
    others_are_free: bool,
) -> Choice:
    """What a worker with a free slot starts.

    A held turn is passed by at most SLACK tags; then its holding ends. While another worker has a
    free slot, nothing is taken away from it: it could start there, and waits for its own good.

    Args:
        own: the worker's own turn with the lowest tag, held or ready; may be one of the others.
        ready: the turn with the lowest tag that any worker may start.
        held: the turn with the lowest tag that only its home may start.
        others_are_free: whether any other worker of the pool has a free slot.
    """
    if own is not None and (ready is None or may_overtake(own, ready)):
        chosen, choice = own, Choice.OWN
    elif ready is not None:
        chosen, choice = ready, Choice.READY
    else:
        return Choice.NOTHING
    if held is not None and not others_are_free and held.tag + SLACK < chosen.tag:
        return Choice.HELD
    return choice
