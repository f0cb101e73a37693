"""The routes of the pages, except those of `/` and `/ops`."""

from typing import Final

from api.description.route import Answer, Operation, Route, Security
from api.ops.description import SERVICE

ROUTES: Final = (
    Route(
        path="/docs",
        security=Security.PAGE,
        operations=(
            Operation(
                method="GET",
                id="getDocsPage",
                tag=SERVICE,
                summary="Open the documentation page",
                answers=(Answer(description="The page.", media_type="text/html"),),
            ),
        ),
    ),
    # For the chat page alone: it may change with it.
    Route(path="/web/markdown", is_routine=True),
)
