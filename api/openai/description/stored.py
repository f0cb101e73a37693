"""What routes that look up and list have in common."""

from typing import Final

from api.description.problems import USING_REDIS
from api.description.route import Parameter

PAGING: Final = (
    Parameter(
        name="limit",
        place="query",
        description="Length of the page; 20 if it is left out.",
        schema={"type": "integer", "minimum": 1, "maximum": 100},
    ),
    Parameter(
        name="order",
        place="query",
        description="`desc`, the default, shows the newest items first.",
        schema={"type": "string", "enum": ["asc", "desc"]},
    ),
    Parameter(
        name="after",
        place="query",
        description="Id of the last item of the page before.",
        schema={"type": "string"},
    ),
)

LOOKING_UP: Final = (*USING_REDIS, "not_found")
LISTING: Final = (*LOOKING_UP, "invalid_request")
