"""The routes for personas."""

from typing import Final

from api.description.problems import READING_BODY, STORING, USING_REDIS
from api.description.route import Answer, Body, Operation, Parameter, Route
from api.personas.personas import PERSONA_ID, PersonaBody
from shared.wire.persona import PersonaList, PersonaObject

PERSONAS: Final = "Personas"
_BODY: Final = {
    "name": "Latin teacher",
    "context": "You teach Latin. Correct mistakes, and give one example.",
}
_PERSONA: Final = {"id": "latin-teacher", **_BODY, "updated_at": "2026-11-22T17:58:18.900Z"}
_WHO: Final = (
    "With API keys these are the key's own. Without keys they are everybody's, and this is 404 "
    "where others may use the server: `PALAVER_OPEN_LIST` says which."
)

ROUTES: Final = (
    Route(
        path="/personas",
        operations=(
            Operation(
                method="GET",
                id="listPersonas",
                tag=PERSONAS,
                summary="List personas",
                description=f"Instructions kept under a name, to begin conversations with. {_WHO}",
                answers=(
                    Answer(
                        description="All, by name.",
                        kind=PersonaList,
                        example={"personas": [_PERSONA]},
                    ),
                ),
                problems=(*USING_REDIS, "not_found"),
            ),
        ),
    ),
    Route(
        path="/personas/{persona}",
        parameters=(
            Parameter(
                name="persona",
                place="path",
                description="Id of the persona: whoever makes it chooses one.",
                schema={"type": "string", "pattern": PERSONA_ID},
                example=_PERSONA["id"],
            ),
        ),
        operations=(
            Operation(
                method="PUT",
                id="keepPersona",
                tag=PERSONAS,
                summary="Keep a persona",
                description=(
                    "Makes it, or replaces the one with this id; conversations that were begun "
                    "with it stay as they are. There are 100 at most."
                ),
                body=Body(kind=PersonaBody, examples={"A persona": _BODY}),
                answers=(
                    Answer(description="It was replaced.", kind=PersonaObject, example=_PERSONA),
                    Answer(
                        status=201, description="It is new.", kind=PersonaObject, example=_PERSONA
                    ),
                ),
                problems=(*READING_BODY, *STORING, "not_found", "too_many_personas"),
            ),
            Operation(
                method="DELETE",
                id="deletePersona",
                tag=PERSONAS,
                summary="Delete a persona",
                description="Conversations that were begun with it stay as they are.",
                answers=(Answer(status=204, description="It is gone."),),
                problems=(*USING_REDIS, "not_found"),
            ),
        ),
    ),
)
