"""`palaver keys create NAME`, `list`, `revoke NAME`, `role NAME ROLE`: manage the file of API keys.

`python -m api.keys` is the same. What the commands need is imported when they run: `palaver` asks
for their arguments whatever it is started for.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

from api.http.key_entries import ROLES
from shared.errors import EX_CONFIG, ConfigError
from shared.wire.limits import Limits


def add_commands(parser: argparse.ArgumentParser) -> None:
    """The commands; parsed options have what is to be called as `run`."""
    parser.set_defaults(run=run)
    commands = parser.add_subparsers(dest="keys_command", required=True, metavar="COMMAND")
    create = commands.add_parser("create", help="create a key and print it, once")
    create.add_argument("name")
    for field in dataclasses.fields(Limits):
        create.add_argument(_option(field.name), type=int, metavar="N", help="default: no limit")
    create.add_argument("--role", choices=ROLES, default="user", help="default: user")
    create.add_argument(
        "--spread", type=int, default=1, metavar="N", help="cells that share its load; default: 1"
    )
    commands.add_parser("list", help="list all keys, without their secrets")
    revoke = commands.add_parser("revoke", help="revoke a key; takes effect at once")
    revoke.add_argument("name")
    role = commands.add_parser("role", help="make a key a user's or an operator's, at once")
    role.add_argument("name")
    role.add_argument("role", choices=ROLES)


def run(options: argparse.Namespace) -> int:
    """Run a command; returns the exit status."""
    from shared.config import load_settings

    try:
        path = load_settings().api_keys_file
        if path is None:
            raise ConfigError("PALAVER_API_KEYS_FILE is not set: it names the file of API keys")
        _run(options, path)
    except ConfigError as error:
        print(f"palaver: {error}", file=sys.stderr)
        return EX_CONFIG
    return 0


def _run(options: argparse.Namespace, path: Path) -> None:
    from api.http.keys import KeyFile

    file = KeyFile(path)
    match options.keys_command:
        case "create":
            spread = _spread(options)
            print(file.create(options.name, _limits(options), options.role, spread=spread))
            print("Store this key now: it cannot be shown again.", file=sys.stderr)
        case "list":
            contents = file.read()
            print(*contents.refused, sep="\n", end="\n" * bool(contents.refused), file=sys.stderr)
            for key in contents.keys:
                limits = " ".join(f"{k}={v}" for k, v in key.to_json()["limits"].items())
                role = "" if key.role == "user" else f"\t{key.role}"
                print(f"{key.name}\t{key.id}\t{key.created_at}\t{limits or 'no limits'}{role}")
        case "revoke":
            file.revoke(options.name)
        case "role":
            file.give_role(options.name, options.role)


def _limits(options: argparse.Namespace) -> Limits:
    fields = {field.name: getattr(options, field.name) for field in dataclasses.fields(Limits)}
    for name, value in fields.items():
        if value is not None and value < 1:
            raise ConfigError(f"{_option(name)}={value}: must be 1 or more")
    return Limits(**fields)


def _spread(options: argparse.Namespace) -> int:
    from shared.config import MOST_CELLS

    spread: int = options.spread
    if not 1 <= spread <= MOST_CELLS:
        raise ConfigError(f"--spread={spread}: must be 1 to {MOST_CELLS}")
    return spread


def _option(field: str) -> str:
    return "--" + field.replace("_", "-")


def main() -> int:
    """Run a command from the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m api.keys", description="API keys of Palaver.")
    add_commands(parser)
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
