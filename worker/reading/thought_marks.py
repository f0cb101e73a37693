"""Markup around thoughts."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ThoughtMarks:
    """Markup around a thought, as the template writes it.

    Args:
        begin: what opens it, if the model or the template does so.
        end: what closes it.
    """

    begin: str
    end: str

    @property
    def bare_begin(self) -> str:
        """Without blanks at its ends."""
        return self.begin.strip()

    @property
    def bare_end(self) -> str:
        """Without blanks at its ends."""
        return self.end.strip()

    def is_open_at_the_end_of(self, text: str) -> bool:
        """Whether a prompt has opened a thought."""
        begin = text.rfind(self.bare_begin) if self.bare_begin else -1
        return begin >= 0 and text.find(self.bare_end, begin) < 0

    def are_doubled(self, opening: str, reply: str) -> bool:
        """Whether a reply opens the thought that the end of its prompt has opened."""
        is_open = self.is_open_at_the_end_of(opening)
        return is_open and reply.lstrip().startswith(self.bare_begin)
