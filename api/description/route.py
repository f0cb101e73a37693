"""What a route says about itself: one `Route` for each path, one `Operation` for each method."""

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Schema = Mapping[str, Any]

_PARAMETER: Final = re.compile(r"\{(\w+)\}")


class Security(enum.Enum):
    """Which requests a server with API keys answers without one."""

    KEY = "key"
    """None."""
    OPEN = "open"
    """All of them."""
    PAGE = "page"
    """GET and HEAD, because a browser cannot send a key when it opens an address."""
    KEYED_PAGE = "keyed page"
    """None, but its resource checks: the page that asks for a key is the body of the 401."""
    FIGURES = "figures"
    """None; of the keys only operators', as it tells of everybody's use."""
    OPERATOR = "operator"
    """The same; a server without keys answers only those who sit at its machine."""

    @property
    def is_page(self) -> bool:
        return self in (Security.PAGE, Security.KEYED_PAGE)

    @property
    def needs_operator(self) -> bool:
        """Whether a key has to be an operator's."""
        return self in (Security.KEYED_PAGE, Security.FIGURES, Security.OPERATOR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter of a path, a query or a header.

    Args:
        is_id: it names something that belongs to somebody: looking one up that does not exist
            counts as a guess, and the log shows it. Its schema has a `pattern`.
        is_required: of a query or a header; parts of a path always are.
    """

    name: str
    place: Literal["path", "query", "header"]
    description: str
    schema: Schema
    example: Any = None
    is_id: bool = False
    is_required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """The JSON body of a request.

    Args:
        kind: the type that checks it.
        examples: by what they show.
    """

    kind: type
    examples: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A successful answer.

    Args:
        kind: of its JSON; None if there is none.
        events: the payload of each kind of server-sent event, if it can be a stream.
        stream_example: the text of such a stream.
        media_type: of an answer that is neither JSON nor a stream.
    """

    status: int = 200
    description: str
    kind: type | None = None
    example: Any = None
    events: Mapping[str, type] = field(default_factory=dict)
    stream_example: str = ""
    media_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What one method of a path does.

    Args:
        id: unique, never changed: client generators name functions after it.
        description: Markdown, for what the summary leaves open.
        problems: codes of errors besides those that every operation can have.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    id: str
    tag: str
    summary: str
    description: str = ""
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    answers: tuple[Answer, ...]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One path of the API.

    Args:
        path: falcon's template. It labels the route's metrics and never changes.
        operations: none for a path that is not part of the documented API.
        parameters: those in the path.
        takes_any_host: answered whatever `Host` says: a probe knows no name.
        is_routine: asked for all the time, so logged at DEBUG only.
    """

    path: str
    operations: tuple[Operation, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    security: Security = Security.KEY
    takes_any_host: bool = False
    is_routine: bool = False

    def __post_init__(self) -> None:
        described = {parameter.name for parameter in self.parameters}
        if self.operations and set(_PARAMETER.findall(self.path)) != described:
            raise ValueError(f"{self.path}: its parameters are not those that it describes")

    def needs_key(self, operation: Operation) -> bool:
        """Whether a server with API keys refuses this operation without one."""
        is_open_page = self.security is Security.PAGE and operation.method == "GET"
        return self.security is not Security.OPEN and not is_open_page
