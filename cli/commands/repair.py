"""`palaver repair`: copies a damaged append-only file and truncates it before the damage."""

import argparse


def add_arguments(_command: argparse.ArgumentParser) -> None:
    """None."""


def run(_options: argparse.Namespace) -> int:
    from cli.repair import repair

    return repair()
