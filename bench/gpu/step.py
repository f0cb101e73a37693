"""What every step of a run has at hand."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.gpu.profiles import PROFILES, Profile
from bench.gpu.run import Plan
from bench.random_model import SHAPES
from worker.engine.model import LlamaModel
from worker.engine.options import ModelOptions


class Step:
    """A step: the plan, the model, and a place for its rows.

    Args:
        plan: of the whole run.
        rows: the file that gets the results.
    """

    def __init__(self, plan: Plan, rows: Path) -> None:
        self.plan = plan
        self.profile: Profile = PROFILES[plan.profile]
        self.path = Path(plan.model)
        self._rows = rows

    def row(self, **cells: Any) -> None:
        """Keep a row: it is on the disk before anything else happens."""
        with open(self._rows, "a", encoding="utf-8") as file:
            file.write(json.dumps(cells) + "\n")

    def model(self, slots: int, window: int) -> LlamaModel:
        """The model as a worker with so many slots loads it."""
        return LlamaModel(self.options(slots, window))

    def options(self, slots: int, window: int) -> ModelOptions:
        options = ModelOptions(self.path, window, len(os.sched_getaffinity(0)), slots=slots)
        return replace(options, **self.plan.options)

    def prompt(self, number: int, size: int) -> tuple[int, ...]:
        """Token ids that no other prompt begins with."""
        words = SHAPES[self.profile.shape].vocab - 300
        return tuple(256 + (number * 7919 + index * 31) % words for index in range(size))
