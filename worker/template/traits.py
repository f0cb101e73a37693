"""What a chat template does with a conversation, found out by trying."""

from dataclasses import dataclass
from typing import Any, Final, Literal

from worker.template.written_calls import WrittenForm

SystemMessages = Literal["anywhere", "first", "nowhere"]
Thoughts = Literal["never", "last", "always"]
Blanks = Literal["none", "newlines", "all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trim:
    """Which blanks a template takes off both ends of a role's contents."""

    role: str
    begin: Blanks
    end: Blanks

    def trimmed(self, text: str) -> str:
        """What is shown of a content."""
        text = text.lstrip(_CHARACTERS[self.begin]) if self.begin != "none" else text
        return text.rstrip(_CHARACTERS[self.end]) if self.end != "none" else text


_CHARACTERS: Final[dict[Blanks, str | None]] = {"newlines": "\n", "all": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateTraits:
    """Answers that a template gave.

    Args:
        system: where system messages may stand; elsewhere they are folded into the next prompt.
        trims: for roles whose contents are shown without blanks at their ends.
        wants_parts: whether contents must be lists of parts.
        reasoning_field: the member of a message that it shows as a thought; `content` if thoughts
            stand in `<think>` tags there; empty if it knows none.
        shows_thoughts: whether it shows those of replies, only those behind the user's last
            message, or none.
        switches: variables that tell it how much to think, of those it looks at.
        needs_effort: whether it leaves no place for a thought without a `reasoning_effort`.
        shows_tools, shows_calls, shows_results: definitions of tools, calls, and their results.
        call_form: how calls are written into contents, if the template shows none by itself.
        arguments_as_text: whether a call's arguments must be JSON text instead of an object.
        short_ids: whether ids of calls must be nine letters and digits.
        shows_date: whether a prompt depends on the day.
        needs_tool_list: whether it wants a list of tools even if there are none.
        names_functions: whether it wants tools as the text `functions`, and a `datetime`.
    """

    system: SystemMessages = "anywhere"
    trims: tuple[Trim, ...] = ()
    wants_parts: bool = False
    reasoning_field: str = ""
    shows_thoughts: Thoughts = "never"
    switches: tuple[str, ...] = ()
    needs_effort: bool = False
    shows_tools: bool = False
    shows_calls: bool = False
    shows_results: bool = False
    call_form: WrittenForm | None = None
    arguments_as_text: bool = False
    short_ids: bool = False
    shows_date: bool = False
    needs_tool_list: bool = False
    names_functions: bool = False

    @property
    def has_tools(self) -> bool:
        """Whether the model can be given tools, call them, and be told their results."""
        return self.shows_tools and self.shows_calls and self.shows_results

    @property
    def no_tools(self) -> list[Any] | None:
        """The variable `tools` where there are none."""
        return [] if self.needs_tool_list else None

    @property
    def has_reasoning(self) -> bool:
        """Whether the model seems to think before it answers."""
        return bool(self.reasoning_field or self.switches)

    def trimmed(self, text: str, role: str) -> str:
        """A content as the template shows it."""
        trim = next((trim for trim in self.trims if trim.role == role), None)
        return text if trim is None else trim.trimmed(text)

    def describe(self) -> str:
        """A line for a person."""
        remarks = [
            f"system messages {self.system}",
            "tools" if self.has_tools else "no tools",
            f"thoughts shown {self.shows_thoughts}" if self.has_reasoning else "no thoughts",
        ]
        if self.switches:
            remarks.append(f"looks at {', '.join(self.switches)}")
        if self.trims:
            remarks.append("trims contents")
        if self.shows_date:
            remarks.append("shows the date")
        return "; ".join(remarks)
