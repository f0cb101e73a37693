"""`palaver backup`, `palaver restore` and `palaver export`: their arguments, and how they end."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.config import Settings
    from shared.store.archive import Archive

# What the commands need is imported when they run: `palaver` asks for their arguments whatever it
# is started for.


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
    from cli.backup.saving import back_up

    return _run(lambda archive, settings: back_up(archive, settings, options.file))


def _restore(options: argparse.Namespace) -> int:
    from cli.backup.restoring import Restoring

    return _run(
        lambda archive, settings: Restoring(
            archive, settings, options.file, replace=options.replace
        ).run(),
        is_restore=True,
    )


def _export(options: argparse.Namespace) -> int:
    from cli.backup.exporting import export, owner_of

    def command(archive: "Archive", settings: "Settings") -> Awaitable[str]:
        owner_id = None if options.all else owner_of(settings, options.key)
        return export(archive, owner_id, options.file)

    return _run(command)


def _run(
    command: "Callable[[Archive, Settings], Awaitable[str]]", *, is_restore: bool = False
) -> int:
    """Run a command and tell what it did, beside what it may have written to standard output."""
    from redis.exceptions import RedisError

    from shared.config import load_settings
    from shared.environment import DEFAULT_PORT
    from shared.errors import EX_CONFIG, ConfigError, PalaverError

    async def connected() -> str:
        from shared.store.archive import Archive
        from shared.store.boot import check_server, refusals_end_the_start
        from shared.store.connection import connect
        from shared.store.keys import Keys

        settings = load_settings(PORT=DEFAULT_PORT)
        redis, keys = connect(settings), Keys(settings.namespace)
        try:
            if is_restore:
                with refusals_end_the_start():
                    await check_server(redis, keys, settings)
            return await command(Archive(redis, keys, settings), settings)
        finally:
            await redis.aclose(close_connection_pool=True)

    try:
        print(asyncio.run(connected()), file=sys.stderr)
    except ConfigError as error:
        print(f"palaver: {error}", file=sys.stderr)
        return EX_CONFIG
    except PalaverError as error:
        print(f"palaver: {error}", file=sys.stderr)
        return 1
    except RedisError as error:
        print(f"palaver: Redis refuses, or is not reachable ({error})", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"palaver: {error}", file=sys.stderr)
        return 1
    return 0
