"""`palaver`, or `python -m cli`."""

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Collection
from typing import Final, Protocol, cast

COMMANDS: Final = {
    "serve": "start everything: API, workers and, unless REDIS_URL is set, an embedded server",
    "api": "start one API process",
    "worker": "start one worker",
    "chat": "chat in the terminal, or answer one prompt",
    "models": "list the models that are served",
    "keys": "create, list and revoke API keys",
    "doctor": "check settings, Redis, model, GPU and port",
    "bench": "put a server under load and measure it",
    "workers": "list all workers",
    "drain": "let workers finish what they run, and end",
    "jobs": "list everybody's turns that run, wait or have failed",
    "job": "show the turns that an id belongs to",
    "cancel": "end turns, whoever owns them",
    "requeue": "give running turns back to the queue",
    "usage": "show what was used within a week, by key and model",
    "backup": "write everything that belongs to users into a file; the server may run",
    "restore": "put a backup back; the server may run",
    "export": "write conversations as JSON that can be imported",
    "repair": "repair the embedded server's append-only file, after making a copy",
    "completion": "print what completes this command line in a shell",
}
"""Every command and what it does; `cli/commands` has a file for each."""

_INTERRUPTED: Final = 130
"""Exit status after Ctrl-C, as shells have it."""
_PIPE_BROKEN: Final = 141
"""When nobody reads what is written any more, as shells have it."""


class _CommandModule(Protocol):
    """What each file of `cli/commands` has."""

    def add_arguments(self, command: argparse.ArgumentParser) -> None: ...

    def run(self, options: argparse.Namespace) -> int: ...


def main() -> int:
    """Run a command; returns the exit status."""
    _let_children_find_us()
    options = parser(sys.argv[1:2]).parse_args()
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        status = run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # The interpreter flushes standard output once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE_BROKEN
    return status


def parser(loaded: Collection[str] = tuple(COMMANDS)) -> argparse.ArgumentParser:
    """The command line.

    Args:
        loaded: commands whose arguments are known; the others have only a name.
    """
    main = argparse.ArgumentParser(
        prog="palaver",
        description="Run a Palaver server, look after it, and chat in the terminal.",
        epilog="`palaver COMMAND --help` says more.",
    )
    main.add_argument("--version", action=_Version, nargs=0, help="print the version, and end")
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        if name in loaded:
            module = cast(_CommandModule, importlib.import_module(f"cli.commands.{name}"))
            command.set_defaults(run=module.run)
            module.add_arguments(command)
    return main


class _Version(argparse.Action):
    """Looks the version up only where it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from shared.distribution import version

        print(f"palaver {version()}")
        parser.exit()


def _let_children_find_us() -> None:
    """Keep a folder `api` or `worker` that happens to be here out of our processes.

    `python -m` looks into the current folder first. That is right where this process was started
    in the same way, and wrong where we are installed.
    """
    if not {"", os.getcwd()} & set(sys.path):
        os.environ["PYTHONSAFEPATH"] = "1"


if __name__ == "__main__":
    sys.exit(main())
