"""What official clients can send, held against our requests and their documentation."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, get_type_hints

from pydantic import BaseModel, ValidationError

_DOCS: Final = Path(__file__).resolve().parents[1] / "docs"
_FENCE: Final = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_SPAN: Final = re.compile(r"`([^`\n]+)`")
_NAME: Final = re.compile(r"\w+")
_NOT_IN_THE_BODY: Final = {"include", "betas", "user_profile_id", "workspace_id"}
"""Sent in the query or in a header."""
_TAKEN_BY_ANOTHER_NAME: Final = {"generate_summary"}


def check_fields(model: type[BaseModel], kinds: tuple[Any, ...], page: str) -> None:
    """Every field of these kinds is one of the model and documented, or refused by its name."""
    own = {field.alias or name for name, field in model.model_fields.items()}
    official = {name for kind in kinds for name in get_type_hints(kind)}
    others = official - own - _NOT_IN_THE_BODY - _TAKEN_BY_ANOTHER_NAME
    assert set(_refused(model, others)) == others
    assert own - _names_on(page) == set(), f"not documented in {page}"


def _refused(model: type[BaseModel], names: set[str]) -> Iterator[str]:
    """Those that the model names as what it does not know."""
    try:
        model.model_validate(dict.fromkeys(names, "x"))
    except ValidationError as error:
        unknown = [each for each in error.errors() if each["type"] == "extra_forbidden"]
        yield from (str(each["loc"][0]) for each in unknown)


def _names_on(page: str) -> set[str]:
    """All names in a page's code spans."""
    text = _FENCE.sub("", (_DOCS / page).read_text(encoding="utf-8"))
    return {name for span in _SPAN.findall(text) for name in _NAME.findall(span)}
