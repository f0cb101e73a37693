"""In which cell something new begins."""

import random
from collections.abc import Sequence
from typing import Final, Protocol

from shared.cells import Cells, NewIds

_RANDOM: Final = random.SystemRandom()


class MayServe(Protocol):
    """Knows of a cell whether prompts are likely to be answered there."""

    @property
    def may_serve(self) -> bool: ...


class IdSource:
    """Chooses the cells of new conversations and turns, and makes their ids.

    Args:
        states: of each cell.
    """

    def __init__(self, cells: Cells, states: Sequence[MayServe]) -> None:
        self._cells = cells
        self._states = states

    def new_turn(
        self,
        owner_id: str,
        *,
        conversation_id: str | None = None,
        after: str | None = None,
        under: str | None = None,
    ) -> NewIds:
        """Ids of a turn: in the cell of what it continues, else where the owner's begin.

        Args:
            conversation_id: that it continues, or begins with a copy of.
            after: the job whose turn it continues.
            under: leads to the same cell whenever it is given, such as an idempotency key.
        """
        if conversation_id is not None:
            return self._cells.new_turn(self._cells.of_conversation(conversation_id))
        if after is not None:
            return self._cells.new_turn(self._cells.of_job(after))
        if under is not None:
            return self._cells.new_turn(self._cells.of_text(owner_id, under))
        return self._cells.new_turn(self._cell_of(owner_id))

    def new_conversation(self, owner_id: str) -> str:
        """An id for a conversation that begins without a turn."""
        return self._cells.new_conversation(self._cell_of(owner_id))

    def another_conversation(self, job_id: str) -> str:
        """An id for the conversation of a job, if the first one was taken."""
        return self._cells.new_conversation(self._cells.of_job(job_id))

    def _cell_of(self, owner_id: str) -> int:
        spread = self._cells.spread_of(owner_id)
        if len(spread) == 1:
            return spread[0]
        return _RANDOM.choice([cell for cell in spread if self._states[cell].may_serve] or spread)
