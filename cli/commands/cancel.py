"""`palaver cancel`: ends turns, as their owners could."""

import argparse


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("jobs", nargs="+", metavar="JOB")


def run(options: argparse.Namespace) -> int:
    from cli.turns import cancel

    return cancel(options.jobs)
