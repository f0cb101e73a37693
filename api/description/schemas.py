"""JSON schemas of the types that routes name, with words for people."""

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any, Final, Literal

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from api.anthropic.schemas import AnthropicErrorDetails
from api.description.fields import FIELDS, TYPES
from api.openai.schemas import OpenAiErrorDetails
from shared.config import Settings
from shared.wire.objects import ProblemObject
from shared.wire.requests import ChatRequest

Schemas = dict[str, dict[str, Any]]

SCHEMA_REF: Final = "#/components/schemas/{model}"
_OPENAI_FIELD_CODES: Final = {"invalid_value", "missing_required_parameter", "unknown_parameter"}
"""What `invalid_request` is called in OpenAI's dialect, which names one field and what is wrong."""


def schemas_of(kinds: Iterable[type], settings: Settings) -> Schemas:
    """The schema of each type, and of those in it, by the type's name."""
    inputs: list[tuple[str, Literal["validation"], TypeAdapter[Any]]] = [
        (kind.__name__, "validation", TypeAdapter(kind))
        for kind in sorted(kinds, key=attrgetter("__name__"))
    ]
    _, definitions = TypeAdapter.json_schemas(
        inputs, ref_template=SCHEMA_REF, schema_generator=_WithoutTitles
    )
    schemas: Schemas = definitions["$defs"]
    prompt = schemas[ChatRequest.__name__]
    _drop_nulls(prompt)
    if settings.max_tokens_limit != settings.context_length:
        prompt["properties"]["max_tokens"]["maximum"] = settings.max_tokens_limit
    for name, schema in schemas.items():
        _explain(name, schema)
    return schemas


def list_error_codes(schemas: Schemas, errors: Iterable[Mapping[str, Any]]) -> None:
    """Say in the schemas of errors which codes these errors have."""
    codes: set[str] = set()
    openai_codes = set(_OPENAI_FIELD_CODES)
    anthropic_codes: set[str] = set()
    for error in errors:
        if error.get("type") == "error":
            anthropic_codes.add(error["error"]["code"])
        elif "error" in error:
            openai_codes.add(error["error"]["code"])
        else:
            codes.add(error["code"])
    schemas[ProblemObject.__name__]["properties"]["code"]["enum"] = sorted(codes)
    schemas[OpenAiErrorDetails.__name__]["properties"]["code"]["enum"] = sorted(openai_codes)
    details = schemas[AnthropicErrorDetails.__name__]
    details["properties"]["code"]["enum"] = sorted(anthropic_codes)


class _WithoutTitles(GenerateJsonSchema):
    """Leaves out the titles that pydantic makes from fields' names."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False


def _drop_nulls(schema: dict[str, Any]) -> None:
    """Absent is not null: drop pydantic's `anyOf: [..., null]` and `default: null`."""
    for name, field in schema["properties"].items():
        options = [option for option in field.get("anyOf", ()) if option != {"type": "null"}]
        if len(options) > 1:
            field = field | {"anyOf": options}
        if len(options) == 1:
            field = {key: value for key, value in field.items() if key != "anyOf"} | options[0]
        if field.get("default", 0) is None:
            del field["default"]
        schema["properties"][name] = field


def _explain(name: str, schema: dict[str, Any]) -> None:
    """Say what a type and its fields mean; a type without an entry keeps its docstring."""
    schema.pop("title", None)
    text = TYPES.get(name) or schema.get("description", "")
    schema["description"] = " ".join(text.split())
    for field, description in FIELDS.get(name, {}).items():
        schema["properties"][field]["description"] = description
