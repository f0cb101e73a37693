"""Plays a workload against a running server and keeps what its users saw."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Final

from bench.comparison.dialogues import MakeDialogue, Turn
from bench.comparison.workloads import Conversation, Workload

STREAMS_ALONE_S: Final = 1.0
"""How long the streams run before the intruder comes."""


@dataclass
class Played:
    """Results of a workload: each conversation's turns, total time, share of a core used here."""

    turns: list[list[Turn]] = field(default_factory=list)
    intrusion: Turn | None = None
    wall_s: float = 0.0
    client_load: float = 0.0


async def play(workload: Workload, port: int, make_dialogue: MakeDialogue) -> Played:
    """All conversations at once, and the intruder if there is one."""
    played = Played([[Turn() for _ in one.prompts] for one in workload.conversations])
    in_flight = asyncio.Semaphore(workload.in_flight)
    began, cpu = time.perf_counter(), time.process_time()

    async def converse(conversation: Conversation, turns: list[Turn]) -> None:
        dialogue = make_dialogue(port, workload, conversation)
        for number, (prompt, turn) in enumerate(zip(conversation.prompts, turns, strict=True)):
            await asyncio.sleep(workload.thinking_s if number else 0)
            async with in_flight:
                await dialogue.say(prompt, turn)

    async def intrude(conversation: Conversation, turn: Turn) -> None:
        await asyncio.gather(*(turns[0].begun.wait() for turns in played.turns))
        await asyncio.sleep(STREAMS_ALONE_S)
        await make_dialogue(port, workload, conversation).say(conversation.prompts[0], turn)

    async with asyncio.TaskGroup() as group:
        for conversation, turns in zip(workload.conversations, played.turns, strict=True):
            group.create_task(converse(conversation, turns))
        if workload.intruder is not None:
            played.intrusion = Turn()
            group.create_task(intrude(workload.intruder, played.intrusion))
    played.wall_s = time.perf_counter() - began
    played.client_load = (time.process_time() - cpu) / played.wall_s
    return played
