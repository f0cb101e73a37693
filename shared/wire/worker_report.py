"""What a worker reports with every heartbeat.

A report is stored as fields of the worker's hash: `stats` has the engine's figures and `turns`
those of its turns, both as JSON. The names here are the stored ones. Readers and workers may have
different versions: unknown figures are ignored, and missing or unreadable ones have their default.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, TypeVar

import orjson

from shared.wire.histograms import Histogram
from shared.wire.served_model import decode_capabilities

_Figures = TypeVar("_Figures", bound="PlacementReport | EngineReport | TurnCounts")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementReport:
    """What a worker's model runs on.

    Args:
        device: the processor or GPU, as its maker calls it.
        total_bytes, free_bytes: of the device's memory, once everything was loaded.
        layers: of the model, its output counted as one.
        offloaded: how many of them are on a GPU.
        flash_attention: whether it is used.
        fitted: what is less than was wanted, so that it fits into memory; empty if nothing is.
    """

    device: str = ""
    total_bytes: int = 0
    free_bytes: int = 0
    layers: int = 0
    offloaded: int = 0
    flash_attention: bool = False
    fitted: str = ""

    def described(self) -> str:
        """The device, how much of the model is on it, and what is less; empty if unknown."""
        reduced = f"; {self.fitted} fit into memory" if self.fitted else ""
        if not self.offloaded:
            return f"{self.device}{reduced}"
        flash = ", flash attention" if self.flash_attention else ""
        return f"{self.device}: {self.offloaded} of {self.layers} layers{flash}{reduced}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineReport:
    """What an engine did since its start, and how it is now.

    Args:
        steps: passes over the weights.
        running, waiting: replies being generated, and those that wait for a slot.
        evaluated, cached: tokens of prompts that were evaluated, and that were in a cache.
        generated: tokens of replies.
        drafted, accepted: tokens that speculation evaluated, and how many of these were drawn.
        lane_tokens, lane_capacity: tokens in the KV cache, and how many fit into it.
        parked, parked_bytes: conversations and prefixes offloaded to host memory, and their size.
        preemptions: replies that had to give up their slot for a while.
        step_ms: median of the last passes.
        batch_fill: mean number of replies in a decoding pass.
        host_share: share of the steps' time that was not spent in the library.
    """

    steps: int = 0
    running: int = 0
    waiting: int = 0
    evaluated: int = 0
    cached: int = 0
    generated: int = 0
    drafted: int = 0
    accepted: int = 0
    lane_tokens: int = 0
    lane_capacity: int = 0
    parked: int = 0
    parked_bytes: int = 0
    preemptions: int = 0
    step_ms: float = 0.0
    batch_fill: float = 0.0
    host_share: float = 0.0
    placement: PlacementReport = field(default_factory=PlacementReport)


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnCounts:
    """Turns, counted since the worker's start.

    Args:
        fenced: writes that were refused because another worker had the turn by then.
        resumed: starts that continued an earlier one.
        crashed: those of them whose worker had been lost.
        handed_over: turns given back by a worker that stopped.
        summaries_made, summaries_interrupted, summaries_failed, summaries_refused: what became of
            summaries that this worker began, which are nobody's turns.
        summary_tokens: evaluated and generated for them.
    """

    fenced: int = 0
    resumed: int = 0
    crashed: int = 0
    handed_over: int = 0
    summaries_made: int = 0
    summaries_interrupted: int = 0
    summaries_failed: int = 0
    summaries_refused: int = 0
    summary_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnsReport:
    """What became of a worker's turns, and how long they took.

    Args:
        outcomes: turns that this worker ended: `completed`, or by the code of their failure.
        histograms: in seconds: `queue_wait`, `first_token`, `time_per_token` and `turn`.
    """

    outcomes: Mapping[str, int] = field(default_factory=dict)
    counts: TurnCounts = field(default_factory=TurnCounts)
    histograms: Mapping[str, Histogram] = field(default_factory=dict)

    def encode(self) -> bytes:
        return orjson.dumps(
            {
                "outcomes": dict(self.outcomes),
                "counts": asdict(self.counts),
                "histograms": {
                    name: counted.to_json() for name, counted in self.histograms.items()
                },
            }
        )

    @classmethod
    def decode(cls, text: str) -> "TurnsReport":
        stored = _object(text)
        return cls(
            outcomes={
                name: count
                for name, count in _object(stored.get("outcomes")).items()
                if _is_count(count)
            },
            counts=_known(TurnCounts(), stored.get("counts")),
            histograms={
                name: histogram
                for name, counted in _object(stored.get("histograms")).items()
                if (histogram := _histogram(counted)) is not None
            },
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerReport:
    """A worker: its model, how many turns it runs, what it did.

    Args:
        slots, running: turns that it runs together at most, and now.
        context_length: its `PALAVER_CONTEXT_LENGTH`.
        window: tokens of prompt and reply together that came of it.
        capabilities: of its model: `chat`, `tools`, `reasoning`, `embeddings`.
        patience_ms: the longest that a turn waits for it because its conversation is warm there.
        is_draining: whether it takes no more turns.
    """

    model_name: str = ""
    fingerprint: str = ""
    slots: int = 0
    running: int = 0
    engine: EngineReport = field(default_factory=EngineReport)
    turns: TurnsReport = field(default_factory=TurnsReport)
    context_length: int = 0
    window: int = 0
    capabilities: tuple[str, ...] = ("chat",)
    patience_ms: int = 0
    is_draining: bool = False

    @property
    def pool(self) -> str:
        """The pool that it belongs to: all workers of this model."""
        return self.model_name

    def encode(self) -> dict[str, str | int | bytes]:
        """The fields of the worker's hash."""
        draining = {"draining": 1} if self.is_draining else {}
        return {
            **draining,
            "model": self.model_name,
            "fingerprint": self.fingerprint,
            "slots": self.slots,
            "running": self.running,
            "steps": self.engine.steps,
            "stats": orjson.dumps(self.engine),
            "turns": self.turns.encode(),
            "context_length": self.context_length,
            "window": self.window,
            "capabilities": ",".join(self.capabilities),
            "pool": self.pool,
            "patience_ms": self.patience_ms,
        }

    @classmethod
    def decode(cls, stored: Mapping[str, str]) -> "WorkerReport":
        """What the hash says, as far as this version can read it; never raises."""
        stats = _object(stored.get("stats"))
        placement = _known(PlacementReport(), stats.pop("placement", None))
        return cls(
            model_name=stored.get("model", ""),
            fingerprint=stored.get("fingerprint", ""),
            slots=_integer(stored.get("slots")),
            running=_integer(stored.get("running")),
            engine=_known(EngineReport(placement=placement), stats),
            turns=TurnsReport.decode(stored.get("turns", "")),
            context_length=_integer(stored.get("context_length")),
            window=_integer(stored.get("window")),
            capabilities=decode_capabilities(stored.get("capabilities")),
            patience_ms=_integer(stored.get("patience_ms")),
            is_draining="draining" in stored,
        )


def _object(value: Any) -> dict[str, Any]:
    """A JSON object, or its text; empty for anything else."""
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return {}
    return value if isinstance(value, dict) else {}


def _known(defaults: _Figures, stored: Any) -> _Figures:
    """The figures with those that are stored and of the right kind in place of the defaults."""
    given = _object(stored)
    values = {item.name: getattr(defaults, item.name) for item in fields(defaults)}
    for name, default in values.items():
        if name in given and _is_like(given[name], default):
            values[name] = type(default)(given[name])
    return type(defaults)(**values)


def _is_like(value: Any, default: Any) -> bool:
    if isinstance(default, bool | str):
        return isinstance(value, type(default))
    is_number = isinstance(default, int | float)
    return is_number and isinstance(value, int | float) and not isinstance(value, bool)


def _integer(text: str | None) -> int:
    return int(text) if text is not None and text.isdecimal() else 0


def _histogram(stored: Any) -> Histogram | None:
    """None if it cannot be read, or has other buckets than ours."""
    try:
        histogram = Histogram.from_json(stored)
    except (KeyError, TypeError, ValueError):
        return None
    has_our_buckets = len(histogram.counts) == len(histogram.bounds) + 1
    return histogram if has_our_buckets and all(map(_is_count, histogram.counts)) else None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
