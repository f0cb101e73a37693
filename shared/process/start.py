"""How a process starts, or says why it cannot."""

import sys
from typing import Any, NoReturn

from shared.config import Settings, load_settings
from shared.errors import EX_CONFIG, ConfigError
from shared.process.tracing import load_variables


def settings_or_exit(**overrides: Any) -> Settings:
    """The settings; a wrong one ends the process with `EX_CONFIG` and a message."""
    load_variables()
    try:
        return load_settings(**overrides)
    except ConfigError as error:
        fail_start(error)


def fail_start(error: ConfigError) -> NoReturn:
    """End the process so that its supervisor does not start it again."""
    for line in str(error).splitlines():
        print(f"palaver: cannot start: {line}", file=sys.stderr, flush=True)
    raise SystemExit(EX_CONFIG)
