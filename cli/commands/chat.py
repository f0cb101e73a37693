"""`palaver chat`: chat in the terminal."""

import argparse
from typing import Final

from cli.server_options import add_server, client_of

THINKING: Final = ("auto", "off", "low", "medium", "high")


def add_arguments(command: argparse.ArgumentParser) -> None:
    add_server(command)
    command.add_argument("--id", type=int, help="continue this conversation")
    command.add_argument("--context", help="start a new conversation with these instructions")
    command.add_argument("--new", action="store_true", help="start a new conversation")
    command.add_argument(
        "--reasoning",
        choices=THINKING,
        help="how much the model thinks; thoughts are shown in a terminal, and elsewhere with this",
    )
    command.add_argument(
        "--model", metavar="NAME", help="which model answers; see `palaver models`"
    )


def run(options: argparse.Namespace) -> int:
    from cli.chat import chat

    return chat(
        client_of(options),
        options.id,
        context=options.context,
        reasoning=options.reasoning,
        model=options.model,
        new=options.new,
    )
