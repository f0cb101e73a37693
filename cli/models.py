"""`palaver models`: which models a server has workers for."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from cli.client import ClientError, PalaverClient, ServerError
from cli.reply_writer import Screen

_NOT_FOUND: Final = 404


class NotServed(ClientError):
    """No worker runs the model."""


def list_models(client: PalaverClient) -> int:
    """Print one line for each model; returns the exit status: 1 if there is none."""
    try:
        models = served(client)
    except ClientError as error:
        print(f"palaver: {error}", file=sys.stderr)
        return 1
    screen = Screen(sys.stdout)
    for model in models:
        screen.write(f"{described(model)}\n")
    if not models:
        print("palaver: no worker is running", file=sys.stderr)
    return 0 if models else 1


def served(client: PalaverClient) -> Sequence[Mapping[str, Any]]:
    """The models with living workers, as `/v1/models` has them.

    Raises:
        ClientError: the server cannot be asked.
    """
    data: Sequence[Mapping[str, Any]] = client.get("/v1/models")["data"]
    return data


def check_served(client: PalaverClient, name: str) -> None:
    """Find out whether a prompt for this model would be answered; one model takes any name.

    Raises:
        NotServed: there are others, and not this one; the message names them.
        ClientError: the server cannot be asked.
    """
    try:
        names = [model["id"] for model in served(client) if chats(model)]
    except ServerError as error:
        if error.status == _NOT_FOUND:  # an older server: it says what it makes of the name
            return
        raise
    if len(names) > 1 and name not in names:
        raise NotServed(f"no worker runs the model {name!r}; there are {', '.join(names)}")


def chats(model: Mapping[str, Any]) -> bool:
    """Whether it answers prompts; one that embeds texts does not."""
    capabilities = model.get("capabilities")
    return not capabilities or "chat" in capabilities


def described(model: Mapping[str, Any]) -> str:
    """A line of columns, separated by tabs: name, window, workers, capabilities."""
    capabilities = ", ".join(model.get("capabilities") or ())
    workers = model.get("workers", 1)
    columns = (
        model["id"],
        f"{model.get('context_length') or 0:,} tokens",
        f"{workers} worker{'' if workers == 1 else 's'}",
        capabilities,
    )
    return "\t".join(columns)
