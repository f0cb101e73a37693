"""Everything that can go wrong, in one tree; `api/http/errors.py` translates it to HTTP.

PalaverError
├── ConfigError             a setting is wrong: the start stops
├── Refused                 a prompt was not accepted, nothing was stored
│   ├── NoSuchConversation
│   ├── NoSuchTurn
│   ├── TurnInProgress
│   ├── TurnWithoutReply
│   ├── ConversationBusy
│   ├── InvalidReplaceFrom
│   ├── QueueFull
│   ├── IdempotencyKeyReused
│   ├── IdempotencyKeySpent
│   ├── MemoryShort
│   ├── ReadOnlyRedis
│   ├── LimitReached
│   └── NoWorker
├── StillInUse              a response is not deleted: others stand on it
├── OutcomeUnknown          Redis went away while a prompt was being accepted
├── TaskEnded               a part of the process has ended, and so must the process
└── TurnFailed              an accepted turn ended without a reply
"""

from typing import ClassVar, Final

_LIMIT_NAMES: Final = {
    "requests": "prompts a minute",
    "in_flight": "prompts at a time",
    "queued": "waiting prompts",
    "tokens": "tokens a day",
}

_PERFECT: Final = {"failed": "failed", "cancelled": "been cancelled"}

EX_CONFIG: Final = 78
"""Exit status of a process that must not be started again as it is (sysexits.h)."""

EX_SOFTWARE: Final = 70
"""Exit status of a process that gives up because a part of it failed, and may be started again."""


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


class NoSuchTurn(Refused):
    """There is no such turn to go on behind, or it is not the caller's."""


class TurnInProgress(Refused):
    """The turn to go on behind has not ended yet."""


class TurnWithoutReply(Refused):
    """The turn to go on behind has ended without a reply: `status` is `failed` or `cancelled`."""

    def __init__(self, status: str) -> None:
        super().__init__(f"there is no reply to go on behind: that response has {_PERFECT[status]}")
        self.status = status


class ConversationBusy(Refused):
    """The conversation has as many unfinished turns as it may have."""


class InvalidReplaceFrom(Refused):
    """`replace_from` lies behind the conversation's end.

    `next_number` is the number that the conversation's next message gets, once
    every turn accepted so far has completed.
    """

    def __init__(self, next_number: int) -> None:
        super().__init__(f"there is no message from here on: the next one is number {next_number}")
        self.next_number = next_number


class QueueFull(Refused):
    """As many prompts wait as the queue takes; at this pace a place is free after `wait_s`."""

    def __init__(self, wait_s: float) -> None:
        super().__init__("the queue is full")
        self.wait_s = wait_s


class IdempotencyKeyReused(Refused):
    """The idempotency key stands for another body."""


class IdempotencyKeySpent(Refused):
    """The prompt of this idempotency key has run, and its job `job` is not kept any more."""

    def __init__(self, job_id: str) -> None:
        super().__init__(
            "the prompt was run under this key, and its job is not kept any more; it is not run "
            "again: use another key for that"
        )
        self.job = job_id


class MemoryShort(Refused):
    """Redis has only the room left that turns under way need, in memory or on its disk."""


class ReadOnlyRedis(Refused):
    """Redis is a replica, or has lost its replicas, and takes no writes."""


class LimitReached(Refused):
    """The owner has used what it may; some of it is free again after `wait_s`.

    `kind` is `requests`, `in_flight`, `queued` or `tokens`; `limit` how many are allowed.
    """

    def __init__(self, kind: str, limit: int, wait_s: float) -> None:
        super().__init__(f"the limit of this key is reached: {limit} {_LIMIT_NAMES[kind]}")
        self.kind = kind
        self.limit = limit
        self.wait_s = wait_s


class NoWorker(Refused):
    """No worker has been heard of for too long."""


class StillInUse(PalaverError):
    """A response stays: in `conversation` something stands on it."""

    def __init__(self, conversation_id: str) -> None:
        super().__init__(
            "later turns or copies stand on this response: delete those first, or the conversation"
        )
        self.conversation = conversation_id


class OutcomeUnknown(PalaverError):
    """Redis went away while a prompt was being accepted: `job` may exist or not."""

    def __init__(self, job_id: str) -> None:
        super().__init__("the connection to Redis was lost while the prompt was being accepted")
        self.job = job_id


class TaskEnded(PalaverError):
    """A task that runs as long as its process has ended; why is its cause."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the task {name!r} has ended")
        self.name = name


class TurnFailed(PalaverError):
    """An accepted turn ends without a reply. `code` is the machine-readable reason."""

    code: ClassVar[str] = "generation_failed"

    @property
    def details(self) -> dict[str, int]:
        """Numbers that go into the problem object beside `code` and `detail`."""
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

    @classmethod
    def _describe(cls, prompt_tokens: int, budget: int) -> str:
        return (
            f"the instructions and this prompt are {prompt_tokens} tokens; with room for a reply "
            f"they exceed the window of {budget} tokens"
        )


class ConversationTooLong(ContextLengthExceeded):
    """A conversation that must not be cut does not fit the window."""

    @classmethod
    def _describe(cls, prompt_tokens: int, budget: int) -> str:
        return (
            f"the conversation, of which {prompt_tokens} tokens were looked at, does not fit the "
            f"window of {budget} tokens with room for a reply; with truncation auto its oldest "
            "turns are left out"
        )


class UnusableOptions(TurnFailed):
    """The reply was to follow something that cannot be followed."""

    code = "unusable_options"


class DeadlineExceeded(TurnFailed):
    """The turn did not end within its time."""

    code = "deadline_exceeded"


class WorkerLost(TurnFailed):
    """Every worker that tried this turn died with it."""

    code = "worker_lost"
