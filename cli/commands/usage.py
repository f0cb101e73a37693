"""`palaver usage`: what was used within a week."""

import argparse


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print what `/ops/usage` answers")


def run(options: argparse.Namespace) -> int:
    from cli.usage import show_usage

    return show_usage(as_json=options.json)
