"""`palaver bench`: puts a running server under load."""

import argparse
from typing import Final

from cli.server_options import add_server, client_of

_PATIENCE_S: Final = 30.0


def add_arguments(command: argparse.ArgumentParser) -> None:
    add_server(command)
    command.add_argument("--users", type=_positive, default=8, help="simultaneous (default: 8)")
    command.add_argument("--seconds", type=_positive, default=60, help="default: 60")
    command.add_argument("--tokens", type=_positive, default=48, help="per reply (default: 48)")
    command.add_argument("--model", metavar="NAME", help="which model is measured")


def run(options: argparse.Namespace) -> int:
    from cli.bench import bench

    client = client_of(options, patience_s=_PATIENCE_S)
    return bench(client, options.users, options.seconds, options.tokens, options.model)


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return int(text)
