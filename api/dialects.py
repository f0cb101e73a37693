"""The other APIs whose errors this server writes in their own form."""

from dataclasses import dataclass
from typing import Final

from api.anthropic import errors as anthropic_errors
from api.anthropic.schemas import AnthropicError
from api.http.errors import Dialect
from api.openai import errors as openai_errors
from api.openai.schemas import OpenAiError


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorDialect:
    """How one API's errors are written and described.

    Args:
        name: stands in front of the names of examples.
        kind: of its error objects.
    """

    name: str
    dialect: Dialect
    kind: type


ERROR_DIALECTS: Final = {
    openai_errors.PREFIX: ErrorDialect(
        name="openai_", dialect=openai_errors.DIALECT, kind=OpenAiError
    ),
    anthropic_errors.PREFIX: ErrorDialect(
        name="anthropic_", dialect=anthropic_errors.DIALECT, kind=AnthropicError
    ),
}
"""By the beginning of the path; the last one that fits counts."""
DIALECTS: Final = {prefix: each.dialect for prefix, each in ERROR_DIALECTS.items()}


def error_dialect_of(path: str) -> ErrorDialect | None:
    """The one that a path speaks; None if errors are ours."""
    fitting = [each for prefix, each in ERROR_DIALECTS.items() if path.startswith(prefix)]
    return fitting[-1] if fitting else None
