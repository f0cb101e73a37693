"""`palaver serve`: everything on this machine, as `make run` starts it."""

import argparse
from pathlib import Path


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("--workers", type=int, default=1, metavar="N", help="default: 1")
    command.add_argument(
        "--procfile", type=Path, help="start these lines instead: one for each model, for example"
    )
    command.add_argument("--reload", action="store_true", help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> int:
    """Becomes the processes' runner, and does not return."""
    from shared.process.launch import launch

    launch(options.workers, procfile=options.procfile, reload=options.reload)
