"""`palaver workers`: which workers there are."""

import argparse


def add_arguments(_command: argparse.ArgumentParser) -> None:
    """None."""


def run(_options: argparse.Namespace) -> int:
    from cli.workers import list_workers

    return list_workers()
