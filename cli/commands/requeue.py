"""`palaver requeue`: gives running turns back to the queue."""

import argparse


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("jobs", nargs="+", metavar="JOB")


def run(options: argparse.Namespace) -> int:
    from cli.turns import requeue

    return requeue(options.jobs)
