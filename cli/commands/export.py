"""`palaver export`: whose conversations, and where to."""

import argparse
from pathlib import Path


def add_arguments(command: argparse.ArgumentParser) -> None:
    which = command.add_mutually_exclusive_group(required=True)
    which.add_argument("--all", action="store_true", help="of all users")
    which.add_argument("--key", metavar="NAME", help="of the API key with this name")
    command.add_argument(
        "file", type=Path, metavar="FILE", nargs="?", help="default: standard output"
    )


def run(options: argparse.Namespace) -> int:
    from cli.backup import exporting, running

    return running.run(
        lambda archive, settings: exporting.export(archive, settings, options.key, options.file)
    )
