"""Environment variables that are not settings, and what clients need without loading any."""

from typing import Final

DEFAULT_PORT: Final = 3000

SUPERVISOR_VARIABLE: Final = "PALAVER_SUPERVISOR"
"""A supervisor's process id, for its child."""

RELOAD_VARIABLE: Final = "PALAVER_RELOAD"
"""How `make dev` tells the supervisors to restart their children when sources change."""

WORKERS_VARIABLE: Final = "PALAVER_WORKERS"
"""How many workers `palaver serve` starts on this machine: they share its memory."""

CLIENT_KEY_VARIABLE: Final = "PALAVER_API_KEY"
"""The API key that a client sends; not a setting of the server."""

BUILD_VARIABLE: Final = "PALAVER_CUDA_ARCHITECTURES"
"""For `make install`: the GPU architectures that llama.cpp is built for."""

NOT_SETTINGS: Final = frozenset(
    {
        SUPERVISOR_VARIABLE,
        RELOAD_VARIABLE,
        WORKERS_VARIABLE,
        CLIENT_KEY_VARIABLE,
        BUILD_VARIABLE,
    }
)
"""Variables that have the settings' prefix."""
