"""`python -m worker.check`: what a worker would load, and onto what, as JSON; loads no weights."""

import json
import sys
from dataclasses import asdict
from typing import Any

from shared.config import DEFAULT_PORT, load_settings
from shared.errors import ConfigError
from worker.engine.conversion import weights_of
from worker.engine.devices import gpus, why_no_gpu
from worker.engine.interface import EngineError
from worker.settings import model_path


def check() -> dict[str, Any]:
    """The model's path, size in bytes and number of weights; the GPUs that can be used, and why
    there are none if somebody may expect one.

    Raises:
        ConfigError, EngineError: there is no usable model.
    """
    settings = load_settings(PORT=DEFAULT_PORT)
    path = model_path(settings)
    _, num_weights = weights_of(path)
    return {
        "path": str(path),
        "bytes": path.stat().st_size,
        "weights": num_weights,
        "gpus": [asdict(gpu) for gpu in gpus()],
        "why_no_gpu": why_no_gpu(),
    }


def main() -> int:
    try:
        print(json.dumps(check()))
    except (ConfigError, EngineError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
