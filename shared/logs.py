"""Log lines of every process: level, logger, text; never prompts or replies."""

import logging
import sys


def configure_logging(level: str) -> None:
    """Log to standard output at `level`, libraries at warnings only."""
    logging.basicConfig(
        level=logging.WARNING,
        stream=sys.stdout,
        format="%(levelname)s %(name)s: %(message)s",
        force=True,
    )
    for name in ("api", "worker", "shared", "uvicorn"):
        logging.getLogger(name).setLevel(level.upper())
