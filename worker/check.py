"""`python -m worker.check`: what a worker would load and onto which devices, as JSON.

No weights are loaded.
"""

import json
import sys
from dataclasses import asdict
from typing import Any

from shared.config import load_settings
from shared.environment import DEFAULT_PORT
from shared.errors import ConfigError
from worker.engine.interface import EngineError


def check() -> dict[str, Any]:
    """What a worker would load, and onto what.

    The model's path, size in bytes and number of weights, a worker's warnings about it, the usable
    GPUs, and why there is none if one could be expected.

    Raises:
        ConfigError, EngineError: there is no usable model.
        OSError, RuntimeError: llama.cpp cannot be loaded.
    """
    # Imported here because llama.cpp may fail to load, and `main` reports that.
    from worker.engine.conversion import weights_of  # noqa: PLC0415
    from worker.engine.devices import gpus, why_no_gpu  # noqa: PLC0415
    from worker.engine.loading import remarks  # noqa: PLC0415
    from worker.engine_setup import model_path  # noqa: PLC0415

    settings = load_settings(PORT=DEFAULT_PORT)
    path = model_path(settings)
    _, num_weights = weights_of(path)
    return {
        "path": str(path),
        "bytes": path.stat().st_size,
        "weights": num_weights,
        "gpus": [asdict(gpu) for gpu in gpus()] if settings.gpu_layers else [],
        "remarks": remarks(
            path, window=settings.context_length, template_path=settings.chat_template
        ),
        "all_layers": settings.gpu_layers < 0,
        # With PALAVER_GPU_LAYERS=0 nobody expects a GPU.
        "why_no_gpu": why_no_gpu() if settings.gpu_layers else None,
    }


def main() -> int:
    try:
        print(json.dumps(check()))
    except (ConfigError, EngineError, OSError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
