"""`palaver job`: what is known about a turn."""

import argparse


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("id", metavar="ID", help="of a job, a conversation or a request")
    command.add_argument("--json", action="store_true", help="print what `/ops/lookup` answers")


def run(options: argparse.Namespace) -> int:
    from cli.turns import show_turns

    return show_turns(options.id, as_json=options.json)
