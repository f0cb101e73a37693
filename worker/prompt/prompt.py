"""A prompt as the model gets it, and what of the conversation is in view."""

from dataclasses import dataclass

from shared.wire.messages import StoredMessage
from shared.wire.summary import Summary
from worker.prompt.message import PromptMessage
from worker.prompt.passage import Quote
from worker.template.options import NO_OPTIONS, TemplateOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptTurn:
    """The messages from a prompt to its reply.

    Args:
        number: the first message's.
        pins: numbers of pinned messages, for which it stays in view.
    """

    number: int
    contents: tuple[PromptMessage, ...]
    pins: tuple[int, ...] = ()

    @property
    def is_answered(self) -> bool:
        """Whether it ends with a reply; an edit can leave a prompt without one."""
        return self.contents[-1].role == "assistant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What the model is given.

    Args:
        token_ids: the whole prompt.
        system: the instructions; empty if there are none.
        turns: earlier turns in the window.
        pinned: turns before the window that are in view all the same, in front of `turns`.
        new: the message to be answered: the user's, or the result of a call.
        options: what the chat template was told beside the messages.
        opening: its end, which only stands where a reply begins.
        number: the new message's number in the conversation.
        earlier: earlier turns with a reply, in view or not.
        brought_along: messages of the request that are stored in front of the new one.
        context: replaces the conversation's context; None leaves it as it is.
        quotes: of earlier messages, directly before the new one in `token_ids`; no other prompt
            shows them.
        summary: of what is out of view, in front of all messages in `token_ids`; None if none is.
    """

    token_ids: tuple[int, ...]
    system: tuple[PromptMessage, ...]
    turns: tuple[PromptTurn, ...]
    new: PromptMessage
    number: int
    earlier: int
    brought_along: tuple[StoredMessage, ...] = ()
    context: str | None = None
    options: TemplateOptions = NO_OPTIONS
    opening: str = ""
    pinned: tuple[PromptTurn, ...] = ()
    quotes: tuple[Quote, ...] = ()
    summary: Summary | None = None

    @property
    def offset(self) -> int:
        """Absolute number of the first message of the window."""
        return self.turns[0].number if self.turns else self.number

    @property
    def turns_kept(self) -> int:
        """Turns in view, the new one included; messages without a reply belong to the new one."""
        return sum(turn.is_answered for turn in (*self.pinned, *self.turns)) + 1

    @property
    def turns_dropped(self) -> int:
        """Earlier turns no longer in view; counted by replies, as edits can leave half a turn."""
        return self.earlier - sum(message.role == "assistant" for message in self.earlier_contents)

    @property
    def earlier_contents(self) -> list[PromptMessage]:
        """What is shown between the instructions and the new message."""
        turns = (*self.pinned, *self.turns)
        return [message for turn in turns for message in turn.contents]

    def shows(self, number: int) -> bool:
        """Whether a message from before the window is in view all the same."""
        return any(turn.number <= number < turn.number + len(turn.contents) for turn in self.pinned)

    def answered(self, reply: PromptMessage) -> tuple[PromptTurn, ...]:
        """The turns in the window once this one has its reply."""
        turns = list(self.turns)
        pending: list[PromptTurn] = []
        while turns and (not turns[-1].is_answered or self._continues(pending)):
            pending.insert(0, turns.pop())
        contents = [message for turn in pending for message in turn.contents]
        number = pending[0].number if pending else self.number
        pins = tuple(pin for turn in pending for pin in turn.pins)
        own = PromptTurn(number=number, contents=(*contents, self.new, reply), pins=pins)
        return (*turns, own)

    def _continues(self, pending: list[PromptTurn]) -> bool:
        """Whether the new message is the result of a call, in the turn before `pending`."""
        return not pending and self.new.role == "tool"
