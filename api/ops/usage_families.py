"""What Prometheus reads of keys: the rows of today, which begin at 0 each midnight (UTC)."""

from collections.abc import Iterator, Mapping

from prometheus_client.metrics_core import CounterMetricFamily, Metric

from api.ops.families import PREFIX
from shared.wire.usage_row import DayOfUsage

_LABELS = ("key", "model")


def usage_families(day: DayOfUsage, names: Mapping[str, str]) -> Iterator[Metric]:
    """Turns and tokens by key and model.

    Args:
        names: of API keys, by owner; who has none is called by id.
    """
    turns = CounterMetricFamily(f"{PREFIX}usage_turns", "Completed turns of a key.", labels=_LABELS)
    text = "Tokens of a key's turns."
    tokens = CounterMetricFamily(f"{PREFIX}usage_tokens", text, labels=(*_LABELS, "kind"))
    for row in day.rows:
        labels = [names.get(row.owner_id, row.owner_id), row.model_name]
        turns.add_metric(labels, row.turns)
        kinds = {
            "evaluated": row.prompt_tokens - row.cached_tokens,
            "cached": row.cached_tokens,
            "generated": row.completion_tokens,
            "unfinished": row.unfinished_tokens,
        }
        for kind, count in kinds.items():
            tokens.add_metric([*labels, kind], count)
    yield from (turns, tokens)
