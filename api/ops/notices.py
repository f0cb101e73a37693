"""What an operator should know now: a sentence each, and what to do about it.

Pure functions over the samples of the last minutes, so that the page's "All is well" has rules.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from api.live.headroom import Lack, refusal_of
from api.ops.models import ModelFigures, by_model
from api.ops.samples import Interval, Sample, histogram, interval_of
from api.ops.totals import STARTS
from shared.errors import ContextLengthExceeded, NothingWasCut, UnusableOptions
from shared.wire.worker_report import WorkerReport

_LATELY_S: Final = 30.0
"""What holds for so long is no flicker; rates are means over this time."""
_BEFORE_S: Final = 120.0
"""A queue is compared with what it was so long ago."""
_GROWN_BY: Final = 5
_GROWN_TIMES: Final = 1.5
_RESTARTS: Final = 3
_FAILURES: Final = 3
_FAILED_SHARE: Final = 0.1
CLIENTS_ERRORS: Final = (ContextLengthExceeded.code, UnusableOptions.code, NothingWasCut.code)
"""Failures that nobody but the client can mend (`docs/operations/slo.yml` leaves them out, too)."""
_MEMORY_SHARE: Final = 0.8
_LACKS: Final[Mapping[Lack, str]] = {
    "memory": "Raise its maxmemory, or delete conversations; PALAVER_CONVERSATION_TTL lets them "
    "expire.",
    "disk": "Look at its log and at its disk's free space.",
    "primary": "REDIS_URL has to name the primary: after a failover, its sentinels.",
    "replicas": "Bring its replicas back, or lower min-replicas-to-write.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that an operator should know.

    Args:
        code: which rule it is of; never changes.
        text: one sentence that says what is the case.
        advice: what to do.
        is_bad: users notice it, or soon will.
    """

    code: str
    text: str
    advice: str
    is_bad: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What notices are made of.

    Args:
        samples: of the last minutes, the latest at the end; at least one.
        reports: the workers', by id.
        lack: why Redis takes no prompts; None if it does.
        memory_share: of Redis's limit that is used; None without a limit.
        first_token_alert_s: 95 % of first tokens should come within this time.
    """

    samples: Sequence[Sample]
    reports: Mapping[str, WorkerReport]
    lack: Lack | None
    memory_share: float | None
    first_token_alert_s: float

    @property
    def models(self) -> list[ModelFigures]:
        queue = self.samples[-1].queue
        return by_model(self.reports, queue.pools if queue else {})

    @property
    def lately(self) -> list[Sample]:
        """The samples of the last half minute, and the one before them."""
        return self._since(_LATELY_S)

    def _since(self, seconds: float) -> list[Sample]:
        first = self.samples[-1].at - seconds
        recent = [sample for sample in self.samples if sample.at >= first]
        before = len(self.samples) - len(recent)
        return [*self.samples[max(0, before - 1) : before], *recent]

    @property
    def interval(self) -> Interval:
        """What has happened lately."""
        return interval_of(self.lately)


def notices(facts: Facts) -> list[Notice]:
    """What is bad, then what is only worth knowing; none if all is well."""
    if facts.samples[-1].queue is None:
        return [_REDIS_AWAY]
    due = [notice for rule in _RULES for notice in rule(facts)]
    return sorted(due, key=lambda notice: not notice.is_bad)


_REDIS_AWAY: Final = Notice(
    code="redis_away",
    text="Redis does not answer.",
    advice="Nothing is lost, and prompts are refused until it does. Look at its log; palaver "
    "doctor checks the connection.",
)


def _redis(facts: Facts) -> Iterator[Notice]:
    if facts.lack is not None:
        yield Notice(
            code="redis_lacks",
            text=f"{refusal_of(facts.lack)}: new prompts are refused.",
            advice=_LACKS[facts.lack],
        )
    elif facts.memory_share is not None and facts.memory_share >= _MEMORY_SHARE:
        yield Notice(
            code="redis_memory",
            text=f"Redis uses {facts.memory_share:.0%} of its memory.",
            advice=f"At about 95 % new prompts are refused. {_LACKS['memory']}",
        )


def _no_worker(facts: Facts) -> Iterator[Notice]:
    if not facts.reports:
        yield Notice(
            code="no_worker",
            text="No worker is running.",
            advice="Start one: palaver serve, or palaver worker. Prompts that were accepted wait.",
        )
        return
    for model in facts.models:
        if model.workers == 0:
            yield Notice(
                code="no_worker_of_model",
                text=f"{_turns(model.waiting)} for {model.name}, and no worker runs it.",
                advice="Start a worker of this model, or cancel those turns.",
            )
        elif model.draining == model.workers:
            yield Notice(
                code="all_drain",
                text=f"All workers of {model.name} drain: prompts for it wait.",
                advice="Start another worker of this model.",
            )


def _no_free_slot(facts: Facts) -> Iterator[Notice]:
    for model in facts.models:
        is_taking = model.workers > model.draining
        if is_taking and model.free == 0 and _has_waited(facts.lately, model.name):
            yield Notice(
                code="no_free_slot",
                text=f"All slots of {model.name} are taken, and {_turns(model.waiting)}.",
                advice="If that lasts, start another worker of this model, or raise PALAVER_SLOTS.",
                is_bad=False,
            )


def _has_waited(samples: Sequence[Sample], model: str) -> bool:
    """Whether turns waited for a model all the time."""
    pools = [sample.queue.pools for sample in samples if sample.queue is not None]
    return all(model in each and each[model].waiting > 0 for each in pools)


def _queue_grows(facts: Facts) -> Iterator[Notice]:
    first = facts.samples[-1].at - _BEFORE_S
    earlier = [sample.queue for sample in facts.samples if sample.at <= first and sample.queue]
    queue = facts.samples[-1].queue
    if not earlier or queue is None:
        return
    before, now = earlier[-1].waiting, queue.waiting
    least = min(sample.queue.waiting for sample in facts.lately if sample.queue)
    if least >= max(before + _GROWN_BY, before * _GROWN_TIMES):
        yield Notice(
            code="queue_grows",
            text=f"The queue grows: {_turns(now)}, {before} did two minutes ago.",
            advice="Prompts come faster than they are answered: start another worker, or limit "
            "keys (--queued, --requests-per-minute).",
        )


def _slow_first_tokens(facts: Facts) -> Iterator[Notice]:
    seconds = histogram(facts.interval.grown, "first_token").quantile(0.95)
    if seconds is not None and seconds > facts.first_token_alert_s:
        yield Notice(
            code="slow_first_token",
            text=f"The first token takes up to {seconds:.1f} s (95 %), more than "
            f"PALAVER_FIRST_TOKEN_ALERT ({facts.first_token_alert_s:g} s).",
            advice="Compare with the wait in the queue: if that is long, start another worker; "
            "otherwise prompts are long, or caches too small.",
        )


def _restarts(facts: Facts) -> Iterator[Notice]:
    minutes = interval_of(facts.samples)
    added = max(0, facts.samples[-1].workers - facts.samples[0].workers)
    restarts = int(minutes.grown[STARTS]) - added
    if restarts >= _RESTARTS:
        yield Notice(
            code="workers_restart",
            text=f"Workers have started again {restarts} times within "
            f"{max(1, round(minutes.seconds / 60))} minutes.",
            advice="Unless you replace them, they die: look at their log, and at the exit status.",
        )


def _failures(facts: Facts) -> Iterator[Notice]:
    grown = facts.interval.grown
    ended = {
        code: count
        for name, count in grown.items()
        if (code := name.removeprefix("outcomes.")) != name and code not in CLIENTS_ERRORS
    }
    failed = sum(ended.values()) - ended.get("completed", 0)
    if failed >= _FAILURES and failed > _FAILED_SHARE * sum(ended.values()):
        yield Notice(
            code="turns_fail",
            text=f"{failed} of the last {sum(ended.values())} turns failed.",
            advice="The failed turns below show their errors; the log has the rest.",
        )


def _draining(facts: Facts) -> Iterator[Notice]:
    draining = sorted(name for name, report in facts.reports.items() if report.is_draining)
    if draining:
        verb = "drains" if len(draining) == 1 else "drain"
        yield Notice(
            code="draining",
            text=f"{', '.join(draining)} {verb}.",
            advice="Nothing, if that is wanted: it ends when its turns have.",
            is_bad=False,
        )


def _turns(count: int) -> str:
    return "1 turn waits" if count == 1 else f"{count} turns wait"


_RULES: Final = (
    _redis,
    _no_worker,
    _failures,
    _restarts,
    _queue_grows,
    _slow_first_tokens,
    _no_free_slot,
    _draining,
)
