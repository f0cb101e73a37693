"""Environment variables with Palaver's prefix that are not settings."""

from typing import Final

SUPERVISOR_VARIABLE: Final = "PALAVER_SUPERVISOR"
"""A supervisor's process id, for its child."""

RELOAD_VARIABLE: Final = "PALAVER_RELOAD"
"""How `make dev` tells the supervisors to restart their children when sources change."""

CLIENT_KEY_VARIABLE: Final = "PALAVER_API_KEY"
"""The key that command-line clients send."""

BUILD_VARIABLE: Final = "PALAVER_CUDA_ARCHITECTURES"
"""For `make install`."""

NOT_SETTINGS: Final = frozenset(
    {SUPERVISOR_VARIABLE, RELOAD_VARIABLE, CLIENT_KEY_VARIABLE, BUILD_VARIABLE}
)
