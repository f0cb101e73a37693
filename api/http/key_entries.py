"""One API key as it is stored in the file, and what is wrong with an invalid entry."""

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from shared.errors import PalaverError
from shared.wire.limits import DEFAULT_OWNER, Limits

Role = Literal["user", "operator"]
"""An operator sees and ends everybody's turns; all the rest is the same for both."""
ROLES: Final[tuple[Role, ...]] = get_args(Role)

_LONGEST_TEXT: Final = 200
_LARGEST_LIMIT: Final = 2**53
_ID: Final = re.compile(r"[\w.-]{1,64}", re.ASCII)
_SHA256: Final = re.compile("[0-9a-f]{64}")
_FIELD_NAME: Final = re.compile("[a-z][a-z_0-9]{0,30}")
_SECRETS: Final = re.compile("plv_|[0-9a-fA-F]{40}")


class EntryRefused(PalaverError):
    """An entry is not a valid API key; the text names a field and never its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """One key; `id` is the owner of everything that is created with it."""

    id: str
    name: str
    sha256: str
    created_at: str
    limits: Limits
    role: Role = "user"

    def to_json(self) -> dict[str, Any]:
        """The entry; versions before roles refuse one that has any, so users' have none."""
        limits = {k: v for k, v in dataclasses.asdict(self.limits).items() if v is not None}
        entry = {**dataclasses.asdict(self), "limits": limits}
        if self.role == "user":
            del entry["role"]
        return entry

    @classmethod
    def from_json(cls, entry: Any) -> "ApiKey":
        """Raises: EntryRefused."""
        if not isinstance(entry, dict):
            raise EntryRefused("it is not an object")
        _no_others(entry, [*_TEXTS, "limits", "role"], "")
        for name, is_right in _TEXTS.items():
            if not isinstance(entry.get(name), str) or not is_right(entry[name]):
                raise EntryRefused(f"{name} {_REQUIREMENTS[name]}")
        if entry.get("role", "user") not in ROLES:
            raise EntryRefused(f"role must be {' or '.join(ROLES)}")
        limits = entry.get("limits")
        if not isinstance(limits, dict):
            raise EntryRefused("limits must be an object")
        names = [field.name for field in dataclasses.fields(Limits)]
        _no_others(limits, names, "limits.")
        for name, value in limits.items():
            if value is not None and not _is_limit(value):
                raise EntryRefused(f"limits.{name} must be an integer from 1 to 2^53")
        return cls(**{**entry, "limits": Limits(**limits)})


def name_of(entry: Any, number: int) -> str:
    """How messages refer to an entry: by its name, unless that looks like a secret."""
    name = entry.get("name") if isinstance(entry, dict) else None
    if isinstance(name, str) and name and not _SECRETS.search(name):
        return repr(name[:_LONGEST_TEXT])
    return f"number {number}"


def _is_text(text: str) -> bool:
    return 0 < len(text) <= _LONGEST_TEXT


def _is_owner(text: str) -> bool:
    return _ID.fullmatch(text) is not None and text != DEFAULT_OWNER


def _is_sha256(text: str) -> bool:
    return _SHA256.fullmatch(text) is not None


def _is_limit(value: Any) -> bool:
    # A boolean is an int to Python.
    return type(value) is int and 1 <= value <= _LARGEST_LIMIT


_TEXTS: Final[Mapping[str, Callable[[str], bool]]] = {
    "id": _is_owner,
    "name": _is_text,
    "sha256": _is_sha256,
    "created_at": _is_text,
}
_REQUIREMENTS: Final = {
    "id": f"must be 1 to 64 letters, digits, '.', '-' and '_', and not {DEFAULT_OWNER!r}",
    "name": f"must be 1 to {_LONGEST_TEXT} characters",
    "sha256": "must be 64 hexadecimal digits, lower case",
    "created_at": f"must be 1 to {_LONGEST_TEXT} characters",
}


def _no_others(fields: Mapping[str, Any], known: list[str], prefix: str) -> None:
    for name in fields.keys() - set(known):
        shown = name if _FIELD_NAME.fullmatch(name) else "?"
        raise EntryRefused(f"there is no field {prefix}{shown}")
