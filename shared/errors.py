"""Everything that can go wrong, in one tree; `api/http/errors.py` translates it to HTTP.

PalaverError
├── ConfigError             a setting is wrong: the process does not start
├── Refused                 a prompt was not accepted; nothing was stored
│   ├── NoSuchConversation
│   ├── NoSuchAlternative
│   ├── NoSuchTurn
│   ├── TurnInProgress
│   ├── TurnWithoutReply
│   ├── ConversationBusy
│   ├── InvalidReplaceFrom
│   ├── NothingToContinue
│   ├── QueueFull
│   ├── IdempotencyKeyReused
│   ├── IdempotencyKeySpent
│   ├── MemoryShort
│   ├── ReadOnlyRedis
│   ├── LimitReached
│   ├── NoSuchModel
│   ├── NoEmbeddings
│   └── NoWorker
├── TooManyPersonas         an owner has as many as are kept
├── StillInUse              a response is not deleted: others build on it
├── OutcomeUnknown          it cannot be promised yet what became of a prompt
├── TaskEnded               a background task has ended, so the process must end, too
└── TurnFailed              an accepted turn ended without a reply
"""

from collections.abc import Sequence
from typing import ClassVar, Final

_LIMIT_NAMES: Final = {
    "requests": "prompts a minute",
    "in_flight": "prompts at a time",
    "queued": "waiting prompts",
    "tokens": "tokens a day",
}

_PERFECT: Final = {"failed": "failed", "cancelled": "been cancelled"}

EX_USAGE: Final = 2
"""Exit status of a command that was called in a wrong way, as argparse has it."""

EX_CONFIG: Final = 78
"""Exit status of a process that cannot start as it is configured (sysexits.h)."""

EX_DRAINED: Final = 79
"""How a worker that was asked to drain tells its supervisor that it is not to be started again."""

EX_SOFTWARE: Final = 70
"""Exit status of a process that gives up because a part of it failed; it may be restarted."""


class PalaverError(Exception):
    """Base of every error Palaver raises on purpose."""


class ConfigError(PalaverError):
    """A setting is wrong; the text names it, its value and what is allowed."""


class DataFolderTaken(ConfigError):
    """Another process works on this data folder."""


class Refused(PalaverError):
    """A prompt was not accepted; nothing of it was stored."""


class NoSuchConversation(Refused):
    """There is no such conversation, or it is not the caller's."""


class NoSuchAlternative(Refused):
    """The conversation has no such alternative, or none that continues what stands now."""


class NoSuchTurn(Refused):
    """There is no such turn to continue after, or it is not the caller's."""


class TurnInProgress(Refused):
    """The turn to continue after has not ended yet."""


class TurnWithoutReply(Refused):
    """The turn to continue after ended without a reply: `status` is `failed` or `cancelled`."""

    def __init__(self, status: str) -> None:
        super().__init__(
            f"there is no reply to continue after: that response has {_PERFECT[status]}"
        )
        self.status = status


class ConversationBusy(Refused):
    """The conversation has as many unfinished turns as it may have for what is asked."""


class InvalidReplaceFrom(Refused):
    """`replace_from` is beyond the conversation's end.

    `next_number` is the number of the conversation's next message, once every turn accepted so
    far has completed.
    """

    def __init__(self, next_number: int) -> None:
        super().__init__(
            f"there is no message with this number yet: the next one is number {next_number}"
        )
        self.next_number = next_number


_NOTHING_TO_CONTINUE: Final = "the last message is not a reply that was cut or stopped"


class NothingToContinue(Refused):
    """The last message of the conversation is not a reply that was cut or stopped."""

    def __init__(self) -> None:
        super().__init__(_NOTHING_TO_CONTINUE)


class QueueFull(Refused):
    """The queue is full; at the present pace there is room after `wait_s` seconds."""

    def __init__(self, wait_s: float) -> None:
        super().__init__("the queue is full")
        self.wait_s = wait_s


class IdempotencyKeyReused(Refused):
    """The idempotency key was used with another body."""


class IdempotencyKeySpent(Refused):
    """The prompt of this idempotency key has run, and its job `job` is no longer kept."""

    def __init__(self, job_id: str) -> None:
        super().__init__(
            "the prompt was run under this key, and its job is no longer kept; use another key to "
            "run it again"
        )
        self.job = job_id


class MemoryShort(Refused):
    """Redis has only as much memory or disk left as the turns under way need."""


class ReadOnlyRedis(Refused):
    """Redis is a replica, or has lost its replicas, and takes no writes."""


class LimitReached(Refused):
    """The owner has reached a limit; some of it is free again after `wait_s` seconds.

    `kind` is `requests`, `in_flight`, `queued` or `tokens`; `limit` how many are allowed.
    """

    def __init__(self, kind: str, limit: int, wait_s: float) -> None:
        super().__init__(f"the limit of this key is reached: {limit} {_LIMIT_NAMES[kind]}")
        self.kind = kind
        self.limit = limit
        self.wait_s = wait_s


class NoSuchModel(Refused):
    """The prompt names a model that does not exist, where there are several; `served` are."""

    def __init__(self, name: str, served: Sequence[str]) -> None:
        super().__init__(f"there is no model {shortened(name)}; there are {', '.join(served)}")


class NoEmbeddings(Refused):
    """The model that the prompt is for does not embed texts."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the model {shortened(name)} does not embed texts")


class NoWorker(Refused):
    """No worker has been heard from for too long: of the model with this name, if it has one."""

    def __init__(self, model_name: str = "") -> None:
        which = f" of {shortened(model_name)}" if model_name else ""
        super().__init__(f"no worker{which} has been heard from lately")


_LONGEST_NAME: Final = 100


def shortened(name: str) -> str:
    """A name for a message: quoted, on one line, not too long."""
    return repr(name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…")


class TooManyPersonas(PalaverError):
    """The owner has as many personas as are kept."""

    def __init__(self, most: int) -> None:
        super().__init__(f"there are {most} personas already: delete one first")


class StillInUse(PalaverError):
    """A response is not deleted: something in `conversation` builds on it."""

    def __init__(self, conversation_id: str) -> None:
        super().__init__(
            "later turns or copies build on this response: delete those first, or the conversation"
        )
        self.conversation = conversation_id


class OutcomeUnknown(PalaverError):
    """Nobody can promise yet what became of a prompt: `job` may exist or not.

    Redis was lost while it was being accepted, or too few of its replicas have it.
    """

    def __init__(
        self,
        job_id: str,
        reason: str = "the connection to Redis was lost while the prompt was being accepted",
    ) -> None:
        super().__init__(reason)
        self.job = job_id


class TaskEnded(PalaverError):
    """A task that should run as long as its process has ended; `__cause__` says why."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the task {name!r} has ended")
        self.name = name


class TurnFailed(PalaverError):
    """An accepted turn ends without a reply; `code` is the machine-readable reason."""

    code: ClassVar[str] = "generation_failed"

    @property
    def details(self) -> dict[str, int]:
        """Numbers in the problem object, besides `code` and `detail`."""
        return {}


class ContextLengthExceeded(TurnFailed):
    """System prompt, prompt and room for a reply do not fit the window."""

    code = "context_length_exceeded"

    def __init__(self, prompt_tokens: int, budget: int) -> None:
        super().__init__(self._describe(prompt_tokens, budget))
        self.prompt_tokens = prompt_tokens
        self.budget = budget

    @property
    def details(self) -> dict[str, int]:
        return {"prompt_tokens": self.prompt_tokens, "budget": self.budget}

    def _describe(self, prompt_tokens: int, budget: int) -> str:
        return (
            f"the instructions and this prompt are {prompt_tokens} tokens; with room for a reply "
            f"they exceed the window of {budget} tokens"
        )


class ConversationTooLong(ContextLengthExceeded):
    """A conversation that must not be cut does not fit the window."""

    def _describe(self, prompt_tokens: int, budget: int) -> str:
        return (
            f"the conversation, at least {prompt_tokens} tokens, does not fit the window of "
            f"{budget} tokens with room for a reply; with truncation auto its oldest turns are "
            "left out"
        )


class NoRoomToContinue(ContextLengthExceeded):
    """Behind what stands of a reply there is no room in the window."""

    def _describe(self, prompt_tokens: int, budget: int) -> str:
        return (
            f"the instructions, the prompt and what is written of its reply are {prompt_tokens} "
            f"tokens; the window has {budget}, so there is no room to go on"
        )


class TextTooLong(ContextLengthExceeded):
    """A text to be embedded is longer than the model takes.

    Args:
        place: of the text among those that were sent, from 0.
    """

    def __init__(self, place: int, num_tokens: int, limit: int) -> None:
        self._place = place
        super().__init__(num_tokens, limit)

    def _describe(self, prompt_tokens: int, budget: int) -> str:
        return (
            f"input[{self._place}] is {prompt_tokens} tokens; a text to be embedded may have "
            f"{budget} tokens"
        )


class UnusableOptions(TurnFailed):
    """The model cannot do what the turn is about: another kind of model, an unusable schema."""

    code = "unusable_options"


class NothingWasCut(TurnFailed):
    """When the turn started, the last message was not a reply that was cut or stopped."""

    code = "nothing_to_continue"

    def __init__(self) -> None:
        super().__init__(_NOTHING_TO_CONTINUE)


class DeadlineExceeded(TurnFailed):
    """The turn did not end within its time."""

    code = "deadline_exceeded"


class WorkerLost(TurnFailed):
    """Every worker that tried this turn died with it."""

    code = "worker_lost"
