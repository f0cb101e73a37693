"""`palaver doctor`: finds what keeps Palaver from starting or running well."""

import argparse


def add_arguments(_command: argparse.ArgumentParser) -> None:
    """None."""


def run(_options: argparse.Namespace) -> int:
    from cli.doctor import doctor

    return doctor()
