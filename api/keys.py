"""`python -m api.keys create NAME`, `list`, `revoke NAME`: manage the file of API keys."""

import argparse
import dataclasses
import sys
from pathlib import Path

from api.http.keys import KeyFile
from shared.errors import ConfigError
from shared.process.start import fail_start, settings_or_exit
from shared.wire.limits import Limits


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m api.keys", description="API keys of Palaver.")
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create", help="make a key and show it, once")
    create.add_argument("name")
    for field in dataclasses.fields(Limits):
        option = "--" + field.name.replace("_", "-")
        create.add_argument(option, type=int, metavar="N", help="default: without limit")
    commands.add_parser("list", help="show all keys, without their secrets")
    commands.add_parser("revoke", help="make a key invalid, at once").add_argument("name")
    return parser.parse_args()


def _limits(options: argparse.Namespace) -> Limits:
    fields = {field.name: getattr(options, field.name) for field in dataclasses.fields(Limits)}
    for name, value in fields.items():
        if value is not None and value < 1:
            raise ConfigError(f"--{name.replace('_', '-')}={value}: allowed are 1 and more")
    return Limits(**fields)


def _run(options: argparse.Namespace, path: Path) -> None:
    file = KeyFile(path)
    match options.command:
        case "create":
            print(file.create(options.name, _limits(options)))
            print("Keep it: it is shown this once only.", file=sys.stderr)
        case "list":
            contents = file.read()
            print(*contents.refused, sep="\n", end="\n" * bool(contents.refused), file=sys.stderr)
            for key in contents.keys:
                limits = " ".join(f"{k}={v}" for k, v in key.to_json()["limits"].items())
                print(f"{key.name}\t{key.id}\t{key.created_at}\t{limits or 'no limits'}")
        case "revoke":
            file.revoke(options.name)


def main() -> None:
    options = _parse()
    path = settings_or_exit().api_keys_file
    try:
        if path is None:
            raise ConfigError("PALAVER_API_KEYS_FILE is not set: name the file of the keys")
        _run(options, path)
    except ConfigError as error:
        fail_start(error)


if __name__ == "__main__":
    main()
