"""The introduction of `/openapi.json`, and its tags in order."""

from typing import Final

from api.anthropic.description import MESSAGES
from api.conversations.conversation_description import CONVERSATIONS
from api.conversations.description import JOBS, PROMPTS
from api.openai.description import completions, conversations, models, responses, texts
from api.ops.description import SERVICE
from api.ops.operators_description import OPERATORS
from api.personas.description import PERSONAS

INTRODUCTION: Final = """\
Palaver is a chat backend that remembers: send a prompt, and it keeps the conversation, generates \
the reply and delivers it exactly once.

**Bodies** are JSON objects in UTF-8, read as JSON whatever their content type says. Times are \
RFC 3339 in UTC. A *turn* is one prompt and its reply; a *job* is the work on one turn.

**Authentication.** A server with API keys needs `Authorization: Bearer <key>` on every request \
that is not marked as open. What is created with a key belongs to it; to every other key it does \
not exist (404).

**Errors** are problem objects (RFC 9457) with a stable `code`; under `/v1` they are OpenAI's \
error objects, under `/v1/messages` Anthropic's, and 422 becomes 400. Any path can also answer \
405 `method_not_allowed`, and 500 `internal_error`. An error with `x-should-retry: false` \
must not be retried as it is.

**Headers.** Every answer has an `x-request-id`, which also appears in the server's log. Where a \
key has a limit of prompts per minute, `x-ratelimit-limit-requests`, \
`x-ratelimit-remaining-requests` and `x-ratelimit-reset-requests` say what is left of it. Every \
GET also answers HEAD.
"""

TAGS: Final = {
    PROMPTS: "Send a prompt, get the reply.",
    JOBS: "Follow the work on a prompt: wait for it, stream it, cancel it.",
    CONVERSATIONS: "Read and delete what the server remembers.",
    PERSONAS: "Instructions that are kept, to begin conversations with.",
    models.MODELS: "What the workers run, for OpenAI's clients.",
    completions.COMPLETIONS: "Stateless completions, for OpenAI's clients.",
    texts.TEXTS: "Plain text: continuations and vectors, for OpenAI's clients.",
    responses.RESPONSES: "Turns of stored conversations, for OpenAI's clients.",
    conversations.CONVERSATIONS: (
        "The same conversations as under `/conversations`, for OpenAI's clients."
    ),
    MESSAGES: "Stateless messages, for Anthropic's clients.",
    SERVICE: "Probes, metrics and pages.",
    OPERATORS: "Everybody's turns and the workers. With API keys an operator's is needed; without "
    "them the server's own machine alone is answered, and others get 404.",
}
