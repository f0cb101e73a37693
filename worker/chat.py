"""Replies of a model that generates text: prompt, generate."""

import asyncio

from shared.errors import UnusableOptions
from shared.wire.claim import Claim
from shared.wire.turn_request import TurnRequest
from worker.completion import FinishedReply, finish_reply, is_quickly_finished
from worker.generation import Generator
from worker.homes import Homes
from worker.prompt.build import prepare_prompt
from worker.prompt.window import WindowPolicy
from worker.prompt.writer import PromptWriter
from worker.quarantine import SoloRun
from worker.reply_maker import readable_history
from worker.running_turn import RunningTurn


class Chat:
    """A `ReplyMaker` for models that generate text.

    Args:
        policy: how a window is shared between prompt and reply.
        homes: hears what the engine's cache has from now on.
    """

    def __init__(
        self, writer: PromptWriter, generator: Generator, policy: WindowPolicy, homes: Homes
    ) -> None:
        self._writer = writer
        self._generator = generator
        self._policy = policy
        self._homes = homes

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
        )
        prompt = await prepare_prompt(self._writer, claim, history, budget, thinking)
        generated = await self._generator.generate(turn, prompt, budget, solo_run)
        if is_quickly_finished(prompt, generated, budget):
            return finish_reply(self._writer, claim, prompt, generated, budget)
        return await asyncio.to_thread(finish_reply, self._writer, claim, prompt, generated, budget)

    def committed(self, claim: Claim, reply: FinishedReply) -> None:
        self._homes.committed(claim.session, reply.completion.prefix)
        if reply.next_window is not None:
            self._writer.engine.warm(claim.session, reply.next_window.token_ids)

    def _thinks(self, request: TurnRequest) -> bool:
        wanted = request.thinking if request.thinking != "auto" else self._policy.thinking
        return self._policy.longest_thought > 0 and wanted != "off" and not request.is_plain
