"""The routes under `/v1`, in the order in which the document lists them."""

from typing import Final

from api.description.route import Route
from api.openai.description import completions, conversations, models, responses, texts

ROUTES: Final[tuple[Route, ...]] = (
    *models.ROUTES,
    *completions.ROUTES,
    *responses.ROUTES,
    *conversations.ROUTES,
    *texts.ROUTES,
)
