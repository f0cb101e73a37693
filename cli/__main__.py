"""`palaver`, or `python -m cli`."""

import argparse
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from dotenv import dotenv_values

from api.keys import add_commands as add_key_commands
from shared.environment import CLIENT_KEY_VARIABLE, DEFAULT_PORT

if TYPE_CHECKING:
    from cli.client import PalaverClient

THINKING: Final = ("auto", "off", "low", "medium", "high")
_BENCH_PATIENCE_S: Final = 30.0
_INTERRUPTED: Final = 130
"""Exit status after Ctrl-C, as shells have it."""


def main() -> int:
    """Run a command; returns the exit status."""
    options = parser().parse_args()
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return _INTERRUPTED


def parser() -> argparse.ArgumentParser:
    """The command line."""
    main = argparse.ArgumentParser(
        prog="palaver", description="Chat in the terminal, and look after a Palaver server."
    )
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")

    chat = commands.add_parser("chat", help="chat in the terminal")
    _add_server(chat)
    chat.add_argument("--id", type=int, help="continue this conversation")
    chat.add_argument("--context", help="start a new conversation with these instructions")
    chat.add_argument("--new", action="store_true", help="start a new conversation")
    chat.add_argument(
        "--reasoning",
        choices=THINKING,
        help="how much the model thinks; thoughts are shown in a terminal, and elsewhere with this",
    )
    chat.add_argument("--model", metavar="NAME", help="which model answers; see `palaver models`")
    chat.set_defaults(run=_chat)

    models = commands.add_parser("models", help="list the models that are served")
    _add_server(models)
    models.set_defaults(run=_models)

    bench = commands.add_parser("bench", help="put a server under load and measure it")
    _add_server(bench)
    bench.add_argument("--users", type=_positive, default=8, help="simultaneous (default: 8)")
    bench.add_argument("--seconds", type=_positive, default=60, help="default: 60")
    bench.add_argument("--tokens", type=_positive, default=48, help="per reply (default: 48)")
    bench.add_argument("--model", metavar="NAME", help="which model is measured")
    bench.set_defaults(run=_bench)

    doctor = commands.add_parser("doctor", help="check settings, Redis, model, GPU and port")
    doctor.set_defaults(run=_doctor)

    workers = commands.add_parser("workers", help="list all workers")
    workers.set_defaults(run=_workers)

    _add_drain(commands.add_parser("drain", help="let workers finish what they run, and end"))

    repair = commands.add_parser(
        "repair", help="repair the embedded server's append-only file, after making a copy"
    )
    repair.set_defaults(run=_repair)

    add_key_commands(commands.add_parser("keys", help="create, list and revoke API keys"))
    return main


# Each command imports what it needs when it runs, and `--help` imports nothing.


def _chat(options: argparse.Namespace) -> int:
    from cli.chat import chat

    return chat(
        _client(options),
        options.id,
        context=options.context,
        reasoning=options.reasoning,
        model=options.model,
        new=options.new,
    )


def _models(options: argparse.Namespace) -> int:
    from cli.models import list_models

    return list_models(_client(options))


def _bench(options: argparse.Namespace) -> int:
    from cli.bench import bench

    client = _client(options, patience_s=_BENCH_PATIENCE_S)
    return bench(client, options.users, options.seconds, options.tokens, options.model)


def _doctor(_options: argparse.Namespace) -> int:
    from cli.doctor import doctor

    return doctor()


def _workers(_options: argparse.Namespace) -> int:
    from cli.workers import list_workers

    return list_workers()


def _drain(options: argparse.Namespace) -> int:
    from cli.workers import drain

    return drain(options)


def _repair(_options: argparse.Namespace) -> int:
    from cli.repair import repair

    return repair()


def _client(options: argparse.Namespace, patience_s: float | None = None) -> "PalaverClient":
    from cli.client import PalaverClient

    return PalaverClient(options.url, options.key, _warn_of_retry, patience_s)


def _add_drain(command: argparse.ArgumentParser) -> None:
    command.description = (
        "Ask workers to take no more turns, finish what they run within their grace, hand over the "
        "rest, and end. Without an argument, list all workers."
    )
    command.add_argument("workers", nargs="*", metavar="ID", help="as `palaver workers` lists them")
    command.add_argument("--host", help="all workers of a host")
    command.add_argument("--model", metavar="NAME", help="all workers of a model")
    command.add_argument("--wait", action="store_true", help="return when they have ended")
    command.set_defaults(run=_drain)


def _add_server(command: argparse.ArgumentParser) -> None:
    environ = {**dotenv_values(".env"), **os.environ}
    url = f"http://127.0.0.1:{environ.get('PORT') or DEFAULT_PORT}"
    command.add_argument("--url", type=_url, default=url, help="default: %(default)s")
    key = environ.get(CLIENT_KEY_VARIABLE)
    command.add_argument("--key", default=key, help=f"API key (default: ${CLIENT_KEY_VARIABLE})")


def _url(text: str) -> str:
    return text if "://" in text else f"http://{text}"


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return int(text)


def _warn_of_retry(reason: str) -> None:
    print(f"\n({reason}; retrying)", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
