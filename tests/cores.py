"""The cores that a test may use for a model."""

import os
from typing import Final

from shared.process.machine import usable_cores

IN_PARALLEL: Final = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
MODEL_THREADS: Final = max(1, min(2, usable_cores() // IN_PARALLEL))
"""llama.cpp's threads wait for one another, and are slow on cores that others use."""
