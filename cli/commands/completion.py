"""`palaver completion`: a script for a shell, made from the command line itself."""

import argparse
from typing import Final

_SHELLS: Final = ("bash", "zsh", "fish", "tcsh")


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("shell", choices=_SHELLS)
    command.epilog = 'bash: eval "$(palaver completion bash)"'


def run(options: argparse.Namespace) -> int:
    import shtab

    from cli.__main__ import parser

    print(shtab.complete(parser(), options.shell))
    return 0
