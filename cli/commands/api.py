"""`palaver api`: one API process, as the Procfile's line starts it."""

import argparse


def add_arguments(_command: argparse.ArgumentParser) -> None:
    """Everything about it is a setting."""


def run(_options: argparse.Namespace) -> int:
    from shared.process.supervisor import supervise_module

    return supervise_module("api.server", name="api")
