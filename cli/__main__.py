"""`palaver`, or `python -m cli`."""

import argparse
import os
import sys
from typing import Final

from dotenv import dotenv_values

from shared.config import DEFAULT_PORT
from shared.environment import CLIENT_KEY_VARIABLE

_BENCH_PATIENCE_S: Final = 30.0


def main() -> int:
    """Run one of the commands; returns the exit status."""
    arguments = parser().parse_args()
    try:
        # Each command loads what it needs.
        if arguments.command == "doctor":
            from cli.doctor import doctor  # noqa: PLC0415

            return doctor()
        if arguments.command == "repair":
            from cli.repair import repair  # noqa: PLC0415

            return repair()
        from cli.client import Client  # noqa: PLC0415

        if arguments.command == "chat":
            from cli.chat import chat  # noqa: PLC0415

            client = Client(arguments.url, arguments.key, _tell)
            return chat(client, arguments.id, arguments.context, new=arguments.new)
        from cli.bench import bench  # noqa: PLC0415

        client = Client(arguments.url, arguments.key, _tell, _BENCH_PATIENCE_S)
        return bench(client, arguments.users, arguments.seconds, arguments.tokens)
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    """The command line."""
    main = argparse.ArgumentParser(prog="palaver", description="A chat in the terminal, and more.")
    commands = main.add_subparsers(dest="command", required=True)
    commands.add_parser("doctor", help="look for what would keep Palaver from running well")
    commands.add_parser("repair", help="mend a damaged append-only file, after a copy")
    talk = _with_server(commands.add_parser("chat", help="a conversation in the terminal"))
    talk.add_argument("--id", type=int, help="go on with this conversation")
    talk.add_argument("--context", help="begin a new one with these instructions for the bot")
    talk.add_argument("--new", action="store_true", help="begin a new one")
    load = _with_server(commands.add_parser("bench", help="put a minute of load on a server"))
    load.add_argument("--users", type=_positive, default=8, help="at the same time (default: 8)")
    load.add_argument("--seconds", type=_positive, default=60, help="default: 60")
    load.add_argument("--tokens", type=_positive, default=48, help="of a reply (default: 48)")
    return main


def _with_server(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    environ = {**dotenv_values(".env"), **os.environ}
    url = f"http://127.0.0.1:{environ.get('PORT') or DEFAULT_PORT}"
    command.add_argument("--url", type=_url, default=url, help="default: %(default)s")
    key = environ.get(CLIENT_KEY_VARIABLE)
    command.add_argument("--key", default=key, help=f"API key (default: ${CLIENT_KEY_VARIABLE})")
    return command


def _url(text: str) -> str:
    return text if "://" in text else f"http://{text}"


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError("allowed are 1 and more")
    return int(text)


def _tell(reason: str) -> None:
    print(f"\n({reason}; trying again)", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
