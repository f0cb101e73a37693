"""`/personas`: instructions that an owner keeps, to begin conversations with."""

import re
from typing import Annotated, Final

import falcon.asgi
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictStr

from api.conversations.bodies import not_blank
from api.conversations.conversations import check_listed
from api.http.access import caller_of
from api.http.errors import Problem
from api.http.incoming import parse, read_json_object
from api.live.headroom import Headroom
from shared.store.personas import Personas
from shared.wire.persona import Persona

PERSONA_ID: Final = "^[a-z0-9][a-z0-9-]{0,63}$"
_LONGEST_NAME: Final = 100
_LONGEST_CONTEXT: Final = 32_768


class PersonaBody(BaseModel):
    """The body of `PUT /personas/{persona}`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[
        StrictStr,
        AfterValidator(not_blank),
        Field(
            min_length=1,
            max_length=_LONGEST_NAME,
            description="What people call it.",
            json_schema_extra={"pattern": r"\S"},
        ),
    ]
    context: Annotated[
        StrictStr, Field(max_length=_LONGEST_CONTEXT, description="The bot's instructions.")
    ]
    model: Annotated[
        StrictStr | None,
        Field(min_length=1, max_length=200, description="Which model is to answer; any if null."),
    ] = None


class PersonasResource:
    """Lists the caller's own.

    Args:
        is_listed: whether the caller may see them: without API keys all are everybody's.
    """

    def __init__(self, personas: Personas, *, is_listed: bool) -> None:
        self._personas = personas
        self._is_listed = is_listed

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        check_listed(is_listed=self._is_listed)
        resp.media = {"personas": await self._personas.list(caller_of(req).owner_id)}


class PersonaResource:
    """Keeps and deletes one.

    Args:
        is_listed: as for all of them.
    """

    def __init__(
        self, personas: Personas, headroom: Headroom, max_body_bytes: int, *, is_listed: bool
    ) -> None:
        self._personas = personas
        self._headroom = headroom
        self._max_body_bytes = max_body_bytes
        self._is_listed = is_listed

    async def on_put(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, persona: str
    ) -> None:
        check_listed(is_listed=self._is_listed)
        body = parse(PersonaBody, await read_json_object(req, self._max_body_bytes))
        self._headroom.check()
        kept = Persona(
            persona_id=_checked(persona),
            name=body.name,
            context=body.context,
            model_name=body.model or "",
        )
        resp.media, is_new = await self._personas.keep(caller_of(req).owner_id, kept)
        resp.status = 201 if is_new else 200

    async def on_delete(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, persona: str
    ) -> None:
        check_listed(is_listed=self._is_listed)
        if not await self._personas.delete(caller_of(req).owner_id, _checked(persona)):
            raise _not_found()
        resp.status = 204


def _checked(persona_id: str) -> str:
    if not re.fullmatch(PERSONA_ID, persona_id):
        raise _not_found()
    return persona_id


def _not_found() -> Problem:
    return Problem(404, "not_found", "there is no such persona")
