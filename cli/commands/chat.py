"""`palaver chat`: a conversation in the terminal, or one prompt in a pipe."""

import argparse
import json
import sys
from typing import Any, Final

from cli.server_options import add_server, client_of

THINKING: Final = ("auto", "off", "low", "medium", "high")
_PATIENCE_S: Final = 60.0
"""A pipe does not wait longer for a server that is away."""


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.description = (
        "Without a prompt: chat in the terminal, continuing the last conversation. With one, or "
        "with text on standard input: begin a conversation with it, and print the reply."
    )
    command.add_argument("prompt", nargs="*", metavar="PROMPT", help="put behind piped text")
    _add_choices(command)
    command.add_argument(
        "--json", action="store_true", help="print the whole reply object; needs a prompt"
    )
    command.add_argument(
        "--interactive", action="store_true", help="each line of standard input is a prompt"
    )
    add_server(command)


def _add_choices(command: argparse.ArgumentParser) -> None:
    which = command.add_mutually_exclusive_group()
    which.add_argument("--id", type=int, metavar="N", help="continue this conversation")
    which.add_argument(
        "-c", "--continue", dest="continues", action="store_true", help="continue the last one"
    )
    which.add_argument("--new", action="store_true", help="start a new one")
    command.add_argument("--context", metavar="TEXT", help="instructions of a new one")
    command.add_argument("--model", metavar="NAME", help="as `palaver models` lists them")
    command.add_argument(
        "--reasoning",
        choices=THINKING,
        help="how much the model thinks; a terminal shows thoughts, a dialogue elsewhere with this",
    )
    command.add_argument(
        "-o",
        "--option",
        dest="fields",
        action="append",
        default=[],
        type=_field,
        metavar="NAME=VALUE",
        help="a field of POST /, such as temperature=0 or 'stop=[\"END\"]'; may be repeated",
    )


def run(options: argparse.Namespace) -> int:
    from cli.chat_options import ChatOptions

    wanted = ChatOptions(
        conversation_id=options.id,
        is_new=options.new,
        continues_last=options.continues,
        context=options.context,
        model=options.model,
        reasoning=options.reasoning,
        fields=dict(options.fields),
    )
    if options.interactive or (not options.prompt and sys.stdin.isatty()):
        from cli.dialogue import dialogue

        return dialogue(client_of(options), wanted)

    from cli.one_shot import answer

    client = client_of(options, patience_s=_PATIENCE_S)
    return answer(client, wanted, " ".join(options.prompt), as_json=options.json)


def _field(text: str) -> tuple[str, Any]:
    """A name and a value: JSON where it is any, else text."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
