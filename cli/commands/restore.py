"""`palaver restore`: what to put back, and in place of what."""

import argparse
from pathlib import Path


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", type=Path, metavar="FILE")
    command.add_argument(
        "--replace", action="store_true", help="also in place of what has changed since"
    )


def run(options: argparse.Namespace) -> int:
    from cli.backup import running
    from cli.backup.restoring import restore

    return running.run(
        lambda archive, settings: restore(archive, settings, options.file, replace=options.replace)
    )
