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
"""Turns by which one owner may get ahead of another that waits, too."""
LEAD: Final = SLACK + 1
"""Starts by which one owner gets ahead of another that waits, too, at most."""
OVERTAKE_MS: Final = 5_000
"""A turn is overtaken only by turns that became ready at most so long after it."""
MIN_SAVING_MS: Final = 20
"""A home that saves less is not worth a wait: about what one step of an engine takes."""
BELL_MS: Final = 500
"""How long a home that has a free slot may take to answer its bell, which can get lost."""
WAIT_FACTOR: Final = 4
"""A turn waits at most this many times what its home saves. More than once, because evaluating a
prompt again also holds up all other replies of that worker (docs/benchmarks/simulation.md)."""
LONGEST_WAIT_MS: Final = 10_000
"""PALAVER_AFFINITY_WAIT's default: the longest wait for a busy home, whatever it saves; with 0 any
worker may start the turn at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The numbers of the policy, for those who try others."""

    slack: int = SLACK
    overtake_ms: int = OVERTAKE_MS
    min_saving_ms: int = MIN_SAVING_MS
    bell_ms: int = BELL_MS
    wait_factor: int = WAIT_FACTOR
    longest_wait_ms: int = LONGEST_WAIT_MS


DEFAULT_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """What is known of a living worker."""

    pool: str
    """The name of the model that it serves."""
    tokens_a_second: int
    """Prompt tokens that it evaluates in a second; 0 if it has not evaluated any."""
    has_free_slot: bool
    """Bells that it has not answered yet count as slots, so many turns at once do not all find the
    same one free."""
    is_draining: bool
    is_silent: bool = False
    """Whether it has not answered a bell in time, nor taken a turn since."""


class Bell(StrEnum):
    """Who is woken for a turn that may start."""

    NOBODY = "nobody"
    HOME = "home"
    FREE = "free"
    """The least busy worker with a free slot; of equals the one that was woken longest ago. A bell
    counts as a slot until the worker answers: one that is dead is not rung again and again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Where a turn that may start is put."""

    at_home: bool
    """Whether it is put among its home's own turns, where it stays until it starts."""
    hold_ms: int
    """How long only its home may start it; 0: any worker may at once."""
    bell: Bell


COLD: Final = Offer(at_home=False, hold_ms=0, bell=Bell.FREE)


def next_tag(*, clock: int, last: int | None) -> int:
    """The tag of an owner's next turn: its place in the line, if every turn is served in order.

    Args:
        clock: the highest virtual time of any owner that was served in the pool.
        last: the owner's last tag in the pool; None if it has none.
    """
    return virtual_time(clock=clock, last=last) + 1


def virtual_time(*, clock: int, last: int | None) -> int:
    """That of an owner who begins to wait: idling earns no credit.

    An owner that others got ahead of within their bounds keeps that, though, while it has nothing
    to start for a moment.

    Args:
        clock: the highest virtual time of any owner that was served in the pool.
        last: the owner's own when it waited last; None if it never did, or long ago.
    """
    return clock if last is None else max(clock - LEAD, last)


def saving_ms(*, warm: int, tokens_a_second: int) -> int:
    """What evaluating `warm` tokens would take, rounded down; 0 if the rate is not known."""
    return warm * 1000 // tokens_a_second if tokens_a_second > 0 else 0


def offer(*, pool: str, warm: int, home: Home | None, limits: Limits = DEFAULT_LIMITS) -> Offer:
    """Where a turn goes when it becomes ready.

    Args:
        pool: of the turn.
        warm: tokens of its conversation that its home's cache holds.
        home: None if there is none or it is dead.
        limits: the policy's numbers.
    """
    if home is None or home.is_draining or home.is_silent or home.pool != pool:
        return COLD
    saving = saving_ms(warm=warm, tokens_a_second=home.tokens_a_second)
    if saving < limits.min_saving_ms:
        return COLD
    if home.has_free_slot:
        return Offer(at_home=True, hold_ms=limits.bell_ms, bell=Bell.HOME)
    hold_ms = min(limits.wait_factor * saving, limits.longest_wait_ms)
    return Offer(at_home=True, hold_ms=hold_ms, bell=Bell.NOBODY if hold_ms else Bell.FREE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A turn that a worker could start."""

    served: int
    """Its owner's virtual time, which each start of one of its turns raises by 1."""
    readied_ms: int
    """When it became ready, whether it was held then or not."""


class Choice(StrEnum):
    """Which of the candidates a worker starts."""

    NOTHING = "nothing"
    OWN = "own"
    READY = "ready"


def choose(
    *, own: Candidate | None, ready: Candidate | None, limits: Limits = DEFAULT_LIMITS
) -> Choice:
    """What a worker with a free slot starts.

    Its own turn comes first, unless it became ready too long after the next one, or its owner
    would get too far ahead. Both bounds are included.

    Args:
        own: of the turns whose home the worker is, held or ready, the one with the lowest tag.
        ready: of the turns that any worker may start, the one with the lowest tag of the owner
            with the lowest virtual time; may be the same as `own`.
        limits: the policy's numbers.
    """
    if ready is None:
        return Choice.NOTHING if own is None else Choice.OWN
    if (
        own is not None
        and own.readied_ms - ready.readied_ms <= limits.overtake_ms
        and own.served - ready.served <= limits.slack
    ):
        return Choice.OWN
    return Choice.READY
