"""The people: whose conversations, how often they ask, and how long that goes on."""

import random
from collections.abc import Sequence

from bench.simulate.settings import Cluster, Crowd, Users

NO_PERSONA = 0
CROWD_PERSONA = 1
HEAVY_OWNER = 0
CROWD_OWNER = -1
OVERHEAD_S = 0.05
"""A turn's time in its slot besides its reply: its own prompt, and a step or two."""
LONGEST_REPLY = 1000
REPLY_SPREAD = 0.75
"""Of the logarithm of a reply's length."""
MEAN_OF_SPREAD = 1.3
"""The mean of such lengths, clipped, where the median is 1."""


class Dialogue:
    """One conversation after another of a user: whose, how often they ask, and where it stands."""

    __slots__ = (
        "crowd",
        "home",
        "next_at",
        "number",
        "owner",
        "persona",
        "think_s",
        "tokens",
        "turn",
    )

    def __init__(
        self, *, number: int, owner: int, think_s: float, crowd: Crowd | None = None
    ) -> None:
        self.number = number
        """Of the present conversation; no other one has it."""
        self.owner = owner
        self.think_s = think_s
        self.crowd = crowd
        self.persona = CROWD_PERSONA if crowd else NO_PERSONA
        self.next_at = 0.0
        """When its user has the next prompt ready; a reply that comes later is answered at once."""
        self.turn = 0
        """How many it has had."""
        self.tokens = 0
        self.home: tuple[int, int] | None = None
        """A worker, and which of its processes."""

    def begin_anew(self, number: int) -> None:
        self.number = number
        self.turn = 0
        self.tokens = 0
        self.home = None


def service_s(cluster: Cluster, users: Users) -> float:
    """How long a turn is in its slot if nothing but its own prompt has to be evaluated."""
    return users.reply_tokens / cluster.reply_rate + OVERHEAD_S


def turns_a_second(cluster: Cluster, users: Users) -> float:
    """What is offered."""
    return users.load * cluster.workers * cluster.slots / service_s(cluster, users)


def think_times(cluster: Cluster, users: Users) -> list[float]:
    """Mean seconds between a reply and the next prompt, for each conversation.

    By Zipf's law, but for the least time: the others are scaled until the total rate is right.
    """
    count = cluster.workers * cluster.slots * users.conversations_per_slot
    in_slot, total = service_s(cluster, users), turns_a_second(cluster, users)
    weights = [1 / (i + 1) ** users.zipf for i in range(count)]
    scale = sum(weights) / total
    for _ in range(40):
        thinks = [max(users.think_s, scale / weight - in_slot) for weight in weights]
        excess = sum(1 / (think + in_slot) for think in thinks) / total
        if abs(excess - 1) < 0.001:
            break
        scale *= excess
    return thinks


def population(cluster: Cluster, users: Users, chance: random.Random) -> list[Dialogue]:
    """Conversations as one finds them in the middle of things."""
    thinks = think_times(cluster, users)
    owners = max(1, len(thinks) // users.conversations_per_owner)
    dialogues = [
        Dialogue(number=number, owner=owner_of(users, owners, chance), think_s=think)
        for number, think in enumerate(thinks)
    ]
    per_turn = users.prompt_tokens + users.reply_tokens
    for dialogue in dialogues:
        dialogue.turn = chance.randrange(users.turns)
        whole = users.context_tokens + dialogue.turn * per_turn
        least = int(cluster.kept_share * cluster.window)
        dialogue.tokens = (
            0
            if not dialogue.turn
            else whole
            if whole <= cluster.window
            else chance.randrange(least, cluster.window)
        )
    return dialogues


def owner_of(users: Users, owners: int, chance: random.Random) -> int:
    """Any of them; HEAVY_OWNER has its share besides."""
    if chance.random() < users.heavy_share:
        return HEAVY_OWNER
    return chance.randrange(1, owners + 1)


def reply_length(users: Users, chance: random.Random) -> int:
    """Log-normal: most are short, some are very long."""
    drawn = chance.lognormvariate(0.0, REPLY_SPREAD) * users.reply_tokens / MEAN_OF_SPREAD
    return max(10, min(LONGEST_REPLY, int(drawn)))


def crowd_arrivals(
    crowd: Crowd, cluster: Cluster, users: Users, chance: random.Random
) -> Sequence[float]:
    """When the conversations of a crowd begin."""
    rate = crowd.share * turns_a_second(cluster, users) / crowd.turns
    count = round(rate * crowd.lasts_s)
    return sorted(crowd.begins_s + crowd.lasts_s * chance.random() for _ in range(count))
