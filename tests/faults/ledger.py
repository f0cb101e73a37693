"""What the clients of a storm did and saw, to be compared with what is stored."""

from dataclasses import dataclass, field, replace
from typing import Any

from shared.cells import Cells


@dataclass
class Turn:
    """One prompt, sent as often as it took under one idempotency key.

    `model` is the one that its client wants, None if any will do; `job` what it was accepted as,
    and `maybe_accepted_as` what it was accepted as if it was when nobody could tell;
    `status` how it ended, as its client was told; `reply` and `streamed` the text it got, if it
    got any; `is_garbled` whether a stream told an event without what belongs to it.
    """

    prompt: str
    key: str
    model: str | None = None
    job: str | None = None
    other_jobs: set[str] = field(default_factory=set)
    maybe_accepted_as: set[str] = field(default_factory=set)
    status: str | None = None
    reply: str | None = None
    streamed: str | None = None
    is_garbled: bool = False
    resumptions: int = 0
    waited_ms: float | None = None
    """Before it was started."""
    is_reminded: bool = False
    """Its prompt had a summary."""

    def accepted_as(self, job: str) -> None:
        """An API has named the job."""
        if self.job is None:
            self.job = job
        elif job != self.job:
            self.other_jobs.add(job)

    def ended(self, job: dict[str, Any]) -> None:
        """The client was shown a job that has ended."""
        self.status = job["status"]
        if self.status == "completed":
            self.replied(job["result"])

    def replied(self, result: dict[str, Any]) -> None:
        """The client was shown a reply object."""
        self.reply = result["reply"]
        self.waited_ms = result["timings"]["queued_ms"]
        self.is_reminded = "summarised_turns" in result.get("memory", {})


@dataclass
class Talk:
    """One client's conversation.

    `memory`: its mode, if it names one.
    `is_lost`: the servers know nothing of it any more, or nothing of one of its turns.
    """

    name: str
    memory: str | None = None
    turns: list[Turn] = field(default_factory=list)
    id: int | None = None
    is_deleted: bool = False
    is_lost: bool = False

    def cell(self, cells: Cells) -> int:
        """Where it is; its client may know it by a job alone, if that came to nothing."""
        if self.id is not None:
            return cells.of_conversation(str(self.id))
        return next((cells.of_job(turn.job) for turn in self.turns if turn.job), 0)

    @property
    def has_said_something(self) -> bool:
        """Whether any of its turns has got a reply."""
        return any(turn.status == "completed" for turn in self.turns)


@dataclass
class Ledger:
    """All of them, and how often what was done to the cluster."""

    memories: tuple[str | None, ...] = (None,)
    """The modes of conversations, in turn."""
    talks: list[Talk] = field(default_factory=list)
    faults: dict[str, int] = field(default_factory=dict)
    refusals: dict[str, int] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    """Turns that a worker kept to itself when everybody was told to stop."""
    wrong_counts: list[str] = field(default_factory=list)
    """What did not add up in the queue, at any moment."""
    looks: dict[str, int] = field(default_factory=dict)
    """How often the queue was looked at, and what was seen then."""

    @property
    def turns(self) -> list[Turn]:
        return [turn for talk in self.talks for turn in talk.turns]

    def of_cell(self, cell: int, cells: Cells) -> "Ledger":
        """What belongs to the conversations of a cell; to the first one also what is of none."""
        talks = [talk for talk in self.talks if talk.cell(cells) == cell]
        return replace(self, talks=talks) if cell == 0 else Ledger(talks=talks)

    def count(self, kind: str) -> None:
        """A fault was injected."""
        self.faults[kind] = self.faults.get(kind, 0) + 1

    def saw(self, what: str) -> None:
        """The queue was looked at."""
        self.looks[what] = self.looks.get(what, 0) + 1

    def refused(self, what: str) -> None:
        """A client was told to try again, or heard nothing."""
        self.refusals[what] = self.refusals.get(what, 0) + 1
