"""`palaver backup`: where to write it."""

import argparse
from pathlib import Path


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", type=Path, metavar="FILE", help="compressed if it ends in .gz")


def run(options: argparse.Namespace) -> int:
    from cli.backup import running
    from cli.backup.saving import back_up

    return running.run(lambda archive, settings: back_up(archive, settings, options.file))
