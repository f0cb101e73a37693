"""Replies of a model that generates text: prompt, generate."""

import asyncio
from functools import partial
from itertools import chain, zip_longest

from shared.errors import UnusableOptions
from shared.wire.claim import Claim
from shared.wire.history import History
from shared.wire.turn_request import TurnRequest
from worker.completion import FinishedReply, finish_reply, is_quickly_finished
from worker.generation import Generator
from worker.homes import Homes
from worker.prompt.build import prepare_prompt
from worker.prompt.passage import Passage
from worker.prompt.prompt import Prompt
from worker.prompt.quotes import unseen, with_quotes
from worker.prompt.standing import num_tokens
from worker.prompt.summaries import with_summary
from worker.prompt.window import Budget, WindowPolicy
from worker.prompt.writer import PromptWriter
from worker.quarantine import SoloRun
from worker.recall.elsewhere import Elsewhere
from worker.recall.recall import Recall
from worker.reply_maker import readable_history
from worker.running_turn import RunningTurn
from worker.summaries.folding import Folding


class Chat:
    """A `ReplyMaker` for models that generate text.

    Args:
        policy: how a window is shared between prompt and reply.
        homes: hears what the engine's cache has from now on.
        recall: finds what prompts speak of outside of their windows.
        elsewhere: finds it in their owners' other conversations.
        folding: summarises what leaves the windows.
    """

    def __init__(
        self,
        writer: PromptWriter,
        generator: Generator,
        policy: WindowPolicy,
        homes: Homes,
        recall: Recall,
        elsewhere: Elsewhere,
        folding: Folding,
    ) -> None:
        self._writer = writer
        self._generator = generator
        self._policy = policy
        self._homes = homes
        self._recall = recall
        self._elsewhere = elsewhere
        self._folding = folding

    async def make(self, turn: RunningTurn, solo_run: SoloRun | None) -> FinishedReply:
        turn.enter("prompt")
        claim = turn.claim
        history = readable_history(claim)
        if claim.request.to_embed:
            raise UnusableOptions("the model of this server chats: it makes no embeddings")
        request, thinking = claim.request, self._policy.thinking
        budget = self._policy.budget(
            request.sampling.max_tokens,
            thinks=self._thinks(request),
            longest_thought=request.longest_thought,
            recalls=self._recalls(request, history) and not request.call_id,
            summarises=self._remembers(request, history),
        )
        prompt = await prepare_prompt(self._writer, claim, history, budget, thinking)
        prompt = await self._with_summary(prompt, history, budget)
        if budget.quotes:
            prompt = await self._with_recalled(claim, prompt, budget)
        generated = await self._generator.generate(turn, prompt, budget, solo_run)
        if is_quickly_finished(prompt, generated, budget):
            return finish_reply(self._writer, claim, prompt, generated, budget)
        return await asyncio.to_thread(finish_reply, self._writer, claim, prompt, generated, budget)

    async def committed(self, claim: Claim, reply: FinishedReply) -> None:
        self._homes.committed(claim.session, reply.completion.prefix)
        window = reply.next_window
        is_seen_to = reply.completion.folds and self._folding.want(
            claim.conversation_id, claim.session, reply.ahead, window
        )
        if window is None:
            return
        if not is_seen_to:
            self._writer.engine.warm(claim.session, window.token_ids)
        if claim.history is not None and self._remembers(claim.request, claim.history):
            await self._recall.prepare(claim.conversation_id, window.offset)

    def _remembers(self, request: TurnRequest, history: History) -> bool:
        """Whether the model is told of messages that have left the window."""
        memory = request.memory or history.memory or self._policy.memory
        return memory == "summary" and not _is_whole(request)

    def _recalls(self, request: TurnRequest, history: History) -> bool:
        if request.recall == "all":
            return not _is_whole(request)
        return self._remembers(request, history)

    async def _with_summary(self, prompt: Prompt, history: History, budget: Budget) -> Prompt:
        if not budget.summary or history.summary is None or not prompt.turns_dropped:
            return prompt
        return await asyncio.to_thread(with_summary, self._writer, prompt, history.summary, budget)

    async def _with_recalled(self, claim: Claim, prompt: Prompt, budget: Budget) -> Prompt:
        conversation, text = claim.conversation_id, prompt.new.message.content
        own: list[Passage] = []
        others: list[Passage] = []
        if prompt.turns_dropped:
            found = await self._recall.find(conversation, prompt.offset, text)
            own = [passage for passage in found if not prompt.shows(passage.number)]
        if claim.request.recall == "all":
            found = await self._elsewhere.find(claim.owner_id, conversation, text)
            others = unseen(found, prompt, own)
        if not own and not others:
            return prompt
        passages = list(filter(None, chain.from_iterable(zip_longest(own, others))))
        quoted = partial(with_quotes, num_standing=self._num_standing(claim))
        return await asyncio.to_thread(quoted, self._writer, prompt, passages, budget)

    def _num_standing(self, claim: Claim) -> int:
        return num_tokens(self._writer, claim.standing.message) if claim.standing else 0

    def _thinks(self, request: TurnRequest) -> bool:
        wanted = request.thinking if request.thinking != "auto" else self._policy.thinking
        return self._policy.longest_thought > 0 and wanted != "off" and not request.is_plain


def _is_whole(request: TurnRequest) -> bool:
    """Whether the model is to see what the request says, and nothing besides."""
    return bool(request.messages or request.is_plain or not request.truncate)
