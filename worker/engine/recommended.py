"""How a model's file recommends to draw its tokens (`general.sampling.*`)."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from worker.engine.model_file import metadata

_PREFIX: Final = "general.sampling."


@dataclass(frozen=True, slots=True)
class _Option:
    """An option of ours under llama.cpp's name, and the bounds that requests have, too."""

    name: str
    least: float
    most: float
    kind: Callable[[float], float] = float


_OPTIONS: Final = {
    "temp": _Option("temperature", 0, 2),
    "top_k": _Option("top_k", 0, 2**31 - 1, int),
    "top_p": _Option("top_p", 0, 1),
    "min_p": _Option("min_p", 0, 1),
    "penalty_repeat": _Option("repeat_penalty", 1e-3, 2),
}
_UNSUPPORTED: Final = {"xtc_probability": "0", "mirostat": "0", "penalty_last_n": "64"}
"""Options that we do not have, and the value that changes nothing here."""


def recommended_sampling(model: Any) -> tuple[dict[str, Any], list[str]]:
    """Options by name, and remarks about recommendations that are not followed.

    Args:
        model: llama.cpp's handle.
    """
    options: dict[str, Any] = {}
    remarks: list[str] = []
    for key, option in _OPTIONS.items():
        text = metadata(model, _PREFIX + key)
        if text is None:
            continue
        value = _number(text)
        if option.least <= value <= option.most:
            options[option.name] = option.kind(value)
        else:
            remarks.append(f"{_PREFIX}{key} = {text} is out of range and not used")
    for key, neutral in _UNSUPPORTED.items():
        text = metadata(model, _PREFIX + key)
        if text is not None and _number(text) != float(neutral):
            remarks.append(f"{_PREFIX}{key} = {text} is not supported")
    return options, remarks


def _number(text: str) -> float:
    """The number that metadata hold; NaN, which is out of any range, if they hold none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
