"""The arguments of `palaver backup`, `palaver restore` and `palaver export`.

What the commands need is imported when they run: `palaver` asks for their arguments whatever it is
started for.
"""

import argparse
from pathlib import Path


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The commands; parsed options have what is to be called as `run`."""
    backup = commands.add_parser(
        "backup", help="write everything that belongs to users into a file; the server may run"
    )
    backup.add_argument("file", type=Path, metavar="FILE", help="compressed if it ends in .gz")
    backup.set_defaults(run=_backup)

    restore = commands.add_parser("restore", help="put a backup back; the server may run")
    restore.add_argument("file", type=Path, metavar="FILE")
    restore.add_argument(
        "--replace", action="store_true", help="also in place of what has changed since"
    )
    restore.set_defaults(run=_restore)

    export = commands.add_parser("export", help="write conversations as JSON that can be imported")
    which = export.add_mutually_exclusive_group(required=True)
    which.add_argument("--all", action="store_true", help="of all users")
    which.add_argument("--key", metavar="NAME", help="of the API key with this name")
    export.add_argument(
        "file", type=Path, metavar="FILE", nargs="?", help="default: standard output"
    )
    export.set_defaults(run=_export)


def _backup(options: argparse.Namespace) -> int:
    from cli.backup.running import run
    from cli.backup.saving import back_up

    return run(lambda archive, settings: back_up(archive, settings, options.file))


def _restore(options: argparse.Namespace) -> int:
    from cli.backup.restoring import restore
    from cli.backup.running import run

    return run(
        lambda archive, settings: restore(archive, settings, options.file, replace=options.replace)
    )


def _export(options: argparse.Namespace) -> int:
    from cli.backup.exporting import export
    from cli.backup.running import run

    return run(lambda archive, settings: export(archive, settings, options.key, options.file))
