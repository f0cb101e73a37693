"""`python -m shared.settings_table`: the tables of all settings in docs/configuration.md."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from shared.config import Settings

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "configuration.md"
_BEGIN: Final = "<!-- Settings: from shared/config.py, by `make docs` -->\n"
_END: Final = "<!-- End of settings -->\n"
_FIRST_OF_GROUP: Final = {
    "port": "Server",
    "redis_url": "Storage",
    "model_path": "Model",
    "sync_timeout": "Limits",
    "job_ttl": "Lifetimes",
    "api_keys_file": "Security",
    "log_level": "Logs",
}
_TIMES: Final = ((86400, "day"), (3600, "hour"), (60, "minute"))
_SIZES: Final = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def tables() -> str:
    """All settings as Markdown, a table for each group."""
    return "\n".join(_lines()) + "\n"


def page(text: str) -> str:
    """The page with its tables replaced by those of today."""
    before, rest = text.split(_BEGIN)
    after = rest.split(_END)[1]
    return f"{before}{_BEGIN}\n{tables()}\n{_END}{after}"


def variable(field: FieldInfo) -> str:
    """The name of a setting's variable."""
    if not isinstance(field.validation_alias, AliasChoices):
        raise TypeError(f"a setting has no variable: {field!r}")
    return str(field.validation_alias.choices[0])


def _lines() -> Iterator[str]:
    for name, field in Settings.model_fields.items():
        if name in _FIRST_OF_GROUP:
            if name != next(iter(Settings.model_fields)):
                yield ""
            yield from (f"### {_FIRST_OF_GROUP[name]}", "", "| variable | default | |")
            yield "|---|---|---|"
        description = re.sub(r"\|", r"\\|", field.description or "")
        yield f"| `{variable(field)}` | {_default(field)} | {description} |"


def _default(field: FieldInfo) -> str:
    extra: Any = field.json_schema_extra
    if extra["shown"] is not None:
        return str(extra["shown"])
    value = field.default
    text = f"`{value:g}`" if isinstance(value, float) else f"`{value}`"
    match extra["unit"]:
        case "s":
            return f"{text} s{_in_larger_units(value, _TIMES)}"
        case "bytes":
            return f"{text}{_in_larger_units(value, _SIZES)}"
        case "tokens":
            return f"{text} tokens"
    return text


def _in_larger_units(value: float, units: tuple[tuple[int, str], ...]) -> str:
    """In the largest unit of which it is a multiple, in parentheses; empty if there is none."""
    for size, name in units:
        count, rest = divmod(value, size)
        if count and not rest:
            is_plural = count > 1 and not name.endswith("B")
            return f" ({count:g} {name}{'s' * is_plural})"
    return ""


def main() -> None:
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
