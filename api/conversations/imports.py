"""The body of `POST /conversations`: an empty conversation, or one that was exported before."""

import time
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictStr

from api.conversations.bodies import Metadata, Title, encoded
from api.conversations.imported_alternatives import ImportedAlternative, check_places
from api.conversations.imported_messages import Ignored, ImportedMessage, check_order
from api.conversations.imported_tails import ImportedTails
from shared.wire.beginning import Beginning
from shared.wire.memory import MemoryMode


class ConversationStart(BaseModel):
    """The body of `POST /conversations`.

    A conversation as `GET /conversations/{id}` gives it, with its messages, is accepted as it is.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    context: Annotated[
        StrictStr | None,
        Field(description="The bot's instructions. Without them: `PALAVER_DEFAULT_CONTEXT`."),
    ] = None
    title: Annotated[
        Title | None,
        Field(description="Without one it is the beginning of the first prompt."),
    ] = None
    model: Annotated[
        StrictStr | None,
        Field(
            max_length=200,
            description="Which model replies. Without messages an unknown one is refused; with "
            "messages the usual one takes its place.",
        ),
    ] = None
    metadata: Annotated[Metadata | None, Field(description="Names with texts.")] = None
    pinned: Annotated[StrictBool, Field(description="Lists show it.")] = False
    memory: Annotated[
        MemoryMode | None,
        Field(description="What becomes of turns that leave the window; else `PALAVER_MEMORY`."),
    ] = None
    messages: Annotated[
        tuple[ImportedMessage, ...],
        AfterValidator(check_order),
        Field(description="An imported conversation, oldest first: the first is of role user."),
    ] = ()
    alternatives: Annotated[
        tuple[ImportedAlternative, ...],
        AfterValidator(check_places),
        Field(
            description="What edits and retries have replaced, in this order; of more than the "
            "server keeps (`PALAVER_ALTERNATIVES`) the last ones."
        ),
    ] = ()
    export_version: Annotated[
        Literal[2] | None,
        Field(description="How the export is to be read: 2, or null for one without alternatives."),
    ] = None
    id: Ignored = None
    created_at: Ignored = None
    updated_at: Ignored = None
    turns: Ignored = None
    tokens: Ignored = None
    window: Ignored = None
    pending: Ignored = None
    next: Ignored = None

    def beginning(self, batch_id: str, default_context: str) -> Beginning:
        """As the store takes it.

        Args:
            default_context: instructions of a conversation that was sent without any.
        """
        context = default_context if self.context is None else self.context
        tails = ImportedTails(self.messages, self.alternatives, batch_id)
        now_ms = time.time_ns() // 1_000_000
        return Beginning(
            batch_id=batch_id,
            metadata=encoded(self.metadata),
            messages=tails.messages(now_ms),
            alternatives=tails.alternatives(context, now_ms),
            context=context,
            title=self.title or "",
            is_pinned=self.pinned,
            model_name=self.model or "",
            memory=self.memory,
        )
