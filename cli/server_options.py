"""Which server a command talks to: `--url`, `--key`, `PORT` and `.env`."""

import argparse
import os
import sys
from typing import TYPE_CHECKING

from dotenv import dotenv_values

from shared.environment import CLIENT_KEY_VARIABLE, DEFAULT_PORT

if TYPE_CHECKING:
    from cli.client import PalaverClient


def add_server(command: argparse.ArgumentParser) -> None:
    """The options of commands that talk to a server."""
    environ = {**dotenv_values(".env"), **os.environ}
    url = f"http://127.0.0.1:{environ.get('PORT') or DEFAULT_PORT}"
    command.add_argument("--url", type=_url, default=url, help="default: %(default)s")
    key = environ.get(CLIENT_KEY_VARIABLE)
    command.add_argument("--key", default=key, help=f"API key (default: ${CLIENT_KEY_VARIABLE})")


def client_of(options: argparse.Namespace, patience_s: float | None = None) -> "PalaverClient":
    """A client for the server that the options name."""
    from cli.client import PalaverClient

    return PalaverClient(options.url, options.key, _warn_of_retry, patience_s)


def _url(text: str) -> str:
    return text if "://" in text else f"http://{text}"


def _warn_of_retry(reason: str) -> None:
    print(f"\n({reason}; retrying)", file=sys.stderr)
