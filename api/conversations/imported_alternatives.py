"""Alternatives of an imported conversation: tails of messages, each behind a certain message."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, NoReturn

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationInfo
from pydantic_core import PydanticCustomError

from api.conversations.imported_messages import Ignored, ImportedMessage, Time, check_order

_MOST: Final = 100
"""As many as a server can keep of a conversation."""


class ImportedAlternative(BaseModel):
    """An alternative as `GET /conversations/{id}/alternatives?all=true` gives it, complete."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[StrictStr, Field(max_length=64, description="Names it in this export.")]
    number: Annotated[
        StrictInt,
        Field(ge=1, le=2**53, description="Of its first message, as the messages are numbered."),
    ]
    under: Annotated[
        StrictStr | None,
        Field(
            description="Id of the alternative to which it belongs, one behind it in the list; "
            "null if it belongs to what stands."
        ),
    ] = None
    context: Annotated[
        StrictStr | None,
        Field(description="Instructions while it stands; the conversation's if left out."),
    ] = None
    replaced_at: Annotated[
        Time | None, Field(description="When it was replaced; now if it is left out.")
    ] = None
    messages: Annotated[
        tuple[ImportedMessage, ...], Field(min_length=1, description="All of them, oldest first.")
    ]
    length: Ignored = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tail:
    """Messages that stand, or once stood, behind one another.

    Args:
        place: in the list of alternatives; that of the standing one is behind them.
        number: of its first message.
        under: the tail that has the message before it; None for the one that stands.
    """

    place: int
    number: int
    messages: Sequence[ImportedMessage]
    under: "Tail | None" = None

    def until(self, number: int) -> Sequence[ImportedMessage]:
        """Its own messages before one with this number."""
        return self.messages[: number - self.number]


def tails_of(
    messages: Sequence[ImportedMessage], alternatives: Sequence[ImportedAlternative]
) -> tuple[Tail, tuple[Tail, ...]]:
    """What stands, and the alternatives in their order.

    Raises:
        KeyError: one belongs under none that is behind it.
    """
    last = len(alternatives)
    standing = Tail(place=last, number=_first_number(messages), messages=messages)
    tails: list[Tail] = []
    by_id: dict[str | None, Tail] = {None: standing}
    for place, each in reversed([*enumerate(alternatives)]):
        under = by_id[each.under]
        tail = Tail(place=place, number=each.number, messages=each.messages, under=under)
        by_id[each.id] = tail
        tails.append(tail)
    return standing, tuple(reversed(tails))


def _first_number(messages: Sequence[ImportedMessage]) -> int:
    number = messages[0].number if messages else None
    return number if isinstance(number, int) and number > 0 else 1


def check_places(
    alternatives: tuple[ImportedAlternative, ...], info: ValidationInfo
) -> tuple[ImportedAlternative, ...]:
    """Alternatives that all continue a message which is there.

    Raises:
        PydanticCustomError: one of them does not.
    """
    if "messages" not in info.data:  # They are wrong, and named already.
        return alternatives
    if len(alternatives) > _MOST:
        _refuse("there may be at most {most}", most=_MOST)
    if len({each.id for each in alternatives}) < len(alternatives):
        _refuse("each needs an id of its own")
    try:
        standing, tails = tails_of(info.data["messages"], alternatives)
    except KeyError as error:
        _refuse("none behind it has the id {id}", id=str(error.args[0]))
    for place, tail in enumerate(tails, start=1):
        _check_place(place, tail, standing)
    return alternatives


def _check_place(place: int, tail: Tail, standing: Tail) -> None:
    under = tail.under
    assert under is not None, "an alternative"
    lowest = under.number + (under is not standing)
    if not lowest <= tail.number <= under.number + len(under.messages):
        _refuse("alternative {place} continues no message that is there", place=place)
    before = under.until(tail.number)
    check_order(tail.messages, before[-1] if before else None)


def _refuse(text: str, **values: Any) -> NoReturn:
    raise PydanticCustomError("alternatives", text, values)
