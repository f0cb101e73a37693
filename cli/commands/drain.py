"""`palaver drain`: which workers are to end."""

import argparse


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.description = (
        "Ask workers to take no more turns, finish what they run within their grace, hand over the "
        "rest, and end. Without an argument, list all workers."
    )
    command.add_argument("workers", nargs="*", metavar="ID", help="as `palaver workers` lists them")
    command.add_argument("--host", help="all workers of a host")
    command.add_argument("--model", metavar="NAME", help="all workers of a model")
    command.add_argument("--wait", action="store_true", help="return when they have ended")


def run(options: argparse.Namespace) -> int:
    from cli.workers import drain

    return drain(options)
