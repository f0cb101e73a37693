"""A prompt on its way to a worker."""

from itertools import count

from bench.simulate.users import Dialogue

HELD, READY, STARTED = range(3)

numbers = count()


class Turn:
    """What the queue and a worker know of it."""

    __slots__ = (
        "arrived",
        "dialogue",
        "number",
        "prompt_tokens",
        "readied_ms",
        "reply_tokens",
        "started",
        "state",
        "tag",
    )

    def __init__(self, dialogue: Dialogue, arrived: float, prompt: int, reply: int) -> None:
        self.number = next(numbers)
        self.dialogue = dialogue
        self.arrived = arrived
        self.prompt_tokens = prompt
        self.reply_tokens = reply
        self.state = READY
        self.started = 0.0
        self.tag = 0
        self.readied_ms = 0
