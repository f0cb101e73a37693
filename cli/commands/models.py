"""`palaver models`: which models a server has workers for."""

import argparse

from cli.server_options import add_server, client_of


def add_arguments(command: argparse.ArgumentParser) -> None:
    add_server(command)


def run(options: argparse.Namespace) -> int:
    from cli.models import list_models

    return list_models(client_of(options))
