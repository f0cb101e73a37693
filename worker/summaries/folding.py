"""What a worker does when it runs no turn: it adds to the summaries of conversations."""

import asyncio
import contextlib
import logging
import random
import secrets
from dataclasses import dataclass
from functools import partial
from typing import Final

from redis.exceptions import RedisError

from shared.process.tasks import end
from shared.store.connection import trouble
from shared.store.earlier_messages import EarlierMessages
from shared.store.summaries import FOLD_LEASE_MS, Fold, FoldOutcome, Folds
from shared.wire.announced import Keeper
from shared.wire.messages import decode_messages
from worker.engine.interface import EngineError
from worker.idle import Idle
from worker.prompt.next_window import Ahead, NextWindow
from worker.retry import retry
from worker.summaries.summarizer import Folded, Summarizer
from worker.turn_metrics import TurnMetrics

log = logging.getLogger(__name__)

_LOOK_S: Final = 30.0
"""Between two looks of ten workers for conversations that others have left, a little less or more.
What looking costs the server does not grow with the workers."""
_LOOKERS: Final = 10
_MOST_MESSAGES: Final = 400
"""Of one summary: they come in one answer of Redis, as they stand at one moment."""
_MOST_WANTED: Final = 16
"""Conversations that this worker sees to; each is kept with its last prompt."""
_HOLD_S: Final = FOLD_LEASE_MS / 3000
_RANDOM: Final = random.SystemRandom()
"""Keeps its hands off the shared generator, which others seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """A conversation that a turn of this worker has left something of to summarise.

    Args:
        window: its next window without a new summary; None if it goes on behind what is evaluated.
    """

    conversation_id: str
    session: str
    ahead: Ahead | None
    window: NextWindow | None


class Folding:
    """Makes one summary after the other while the worker is idle, and gives way to any turn.

    Conversations whose turn this worker has run come first: they are in its cache. What is to be
    evaluated ahead of their next turn comes behind the summary that it begins with.

    Args:
        folds: gives conversations away; each to one worker.
        idle: tells when there is nothing else to do.
    """

    def __init__(
        self,
        folds: Folds,
        idle: Idle,
        metrics: TurnMetrics,
        messages: EarlierMessages,
        summarizer: Summarizer,
    ) -> None:
        self._folds = folds
        self._messages = messages
        self._summarizer = summarizer
        self._idle = idle
        self._metrics = metrics
        self._wanted: dict[str, _Wanted] = {}
        self._is_wanted = asyncio.Event()
        self._look_s = _LOOK_S

    def heard(self, keeper: Keeper) -> None:
        """How many workers there are."""
        self._look_s = _LOOK_S * max(1.0, keeper.workers / _LOOKERS)

    def want(
        self, conversation_id: str, session: str, ahead: Ahead | None, window: NextWindow | None
    ) -> bool:
        """A conversation's summary lacks something.

        Returns:
            Whether this worker sees to it at once, and to what is to be evaluated ahead as well.
        """
        if self._idle.num_turns > 1:
            return False
        if len(self._wanted) >= _MOST_WANTED:
            del self._wanted[next(iter(self._wanted))]  # others see to it
        self._wanted[conversation_id] = _Wanted(
            conversation_id=conversation_id, session=session, ahead=ahead, window=window
        )
        self._is_wanted.set()
        return True

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._idle.until_idle()
            try:
                await self._work()
                trouble.over("summaries")
            except (RedisError, OSError) as error:
                trouble.met(error, "summaries")
            except Exception:
                # Nobody's turn is at stake: no reason to end the worker.
                log.exception("a summary failed")
            await self._until_wanted()

    async def _until_wanted(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._look_s * _RANDOM.uniform(0.8, 1.2)):
                await self._is_wanted.wait()
        self._is_wanted.clear()

    async def _work(self) -> None:
        """Summaries of what is wanted, or else of one conversation that is due."""
        if not self._wanted:
            while await self._add_to(None):
                pass
            return
        while self._wanted and not self._idle.num_turns:
            _, wanted = self._wanted.popitem()
            folded: Folded | None = None
            while (step := await self._add_to(wanted)) is not None:
                folded = step
            self._prepare(wanted, folded)

    async def _add_to(self, wanted: _Wanted | None) -> Folded | None:
        """One step, of as much as fits into a prompt; None if there is none, or a turn came."""
        token = secrets.token_hex(8)
        conversation_id = wanted.conversation_id if wanted else None
        fold = await retry("fold", lambda: self._folds.take(token, conversation_id))
        if fold is None:
            return None
        made: list[Folded] = []
        is_done = await self._idle.work(self._made(fold, made))
        if not is_done:
            self._is_wanted.set()
            if wanted is not None:
                self._wanted.setdefault(wanted.conversation_id, wanted)
            await self._folds.interrupt(fold)
            self._metrics.summary_ended("interrupted")
        return made[0] if made else None

    async def _made(self, fold: Fold, made: list[Folded]) -> None:
        holding = asyncio.create_task(self._hold(fold), name="hold")
        try:
            folded = await self._folded(fold)
        except Exception as error:
            if not isinstance(error, EngineError):
                log.error("the summary of %s failed", fold.conversation_id, exc_info=error)
            await self._folds.fail(fold)
            self._metrics.summary_ended("failed")
            return
        finally:
            await end(holding)
        if folded is None:
            await self._folds.fail(fold)
            return
        commit = partial(self._folds.commit, fold, folded.summary, folded.job_id)
        outcome = await retry("summary", commit)
        is_added = outcome in (FoldOutcome.OK, FoldOutcome.DUP)
        self._metrics.summary_ended("made" if is_added else "refused", folded.num_tokens)
        log.info("summary of %s below %d: %s", fold.conversation_id, folded.summary.number, outcome)
        if is_added:
            made.append(folded)
        else:
            self._is_wanted.set()  # somebody has changed it: what it lacks now is due

    async def _folded(self, fold: Fold) -> Folded | None:
        """None if nothing of it is there any more."""
        stop = min(fold.stop, fold.start + _MOST_MESSAGES)
        earlier = await self._messages.read(fold.conversation_id, fold.start, stop)
        if not earlier.texts:
            return None
        return await self._summarizer.fold(fold, decode_messages(earlier.texts, earlier.number))

    async def _hold(self, fold: Fold) -> None:
        while True:
            await asyncio.sleep(_HOLD_S)
            await retry("hold", lambda: self._folds.hold(fold))

    def _prepare(self, wanted: _Wanted, folded: Folded | None) -> None:
        """Have the next window evaluated ahead, with the new summary if there is one."""
        window = wanted.window
        if folded is not None and wanted.ahead is not None:
            window = wanted.ahead.window_with(folded.summary)
        if window is not None:
            self._summarizer.engine.warm(wanted.session, window.token_ids)
