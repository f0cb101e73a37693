"""`palaver jobs`: everybody's turns that run, wait or have failed."""

import argparse


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print what `/ops/turns` answers")


def run(options: argparse.Namespace) -> int:
    from cli.turns import list_jobs

    return list_jobs(as_json=options.json)
