"""Answers that nobody reads: how long and how much of them is kept."""

import asyncio
from typing import Any

from api.http.outgoing import Backlog, Outgoing, OutgoingLimits

HASTY = OutgoingLimits(unread_s=0.02, unread_bytes=100, stale_s=-1, linger_s=0.02, linger_bytes=50)


class Unread(asyncio.Transport):
    """A connection whose client reads when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.buffer = b""
        self.ended = asyncio.Event()
        self.how: list[str] = []
        self.is_paused = True

    def write(self, data: Any) -> None:
        self.buffer += data

    def get_write_buffer_size(self) -> int:
        return len(self.buffer)

    def read(self, size: int) -> None:
        self.buffer = self.buffer[size:]

    def is_closing(self) -> bool:
        return self.ended.is_set()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def write_eof(self) -> None:
        self.how.append("eof")

    def close(self) -> None:
        self._end("closed")

    def abort(self) -> None:
        self._end("aborted")

    def _end(self, how: str) -> None:
        self.how.append(how)
        self.ended.set()


def outgoing(
    transport: Unread, limits: OutgoingLimits = HASTY, *, whole: bool = True, backlog: Any = None
) -> Outgoing:
    loop = asyncio.get_running_loop()
    return Outgoing(transport, loop, limits, backlog or Backlog(), lambda: whole)


async def test_who_reads_nothing_is_cut_off() -> None:
    transport = Unread()
    outgoing(transport).write(b"x" * 1000)
    await asyncio.wait_for(transport.ended.wait(), 10)
    assert transport.how == ["aborted"]


async def test_who_reads_a_little_now_and_then_is_cut_off_too() -> None:
    transport = Unread()
    outgoing(transport).write(b"x" * 1000)
    async with asyncio.timeout(10):
        while not transport.ended.is_set():
            transport.read(1)
            await asyncio.sleep(0.005)
    assert transport.how == ["aborted"]


async def test_who_has_read_everything_is_left_alone() -> None:
    transport = Unread()
    out = outgoing(transport)
    for _ in range(3):
        out.write(b"x" * 1000)
        transport.read(1000)
        await asyncio.sleep(2 * HASTY.unread_s)
    assert not transport.ended.is_set()


async def test_a_closed_connection_is_cut_off_if_its_client_does_not_read_the_rest() -> None:
    transport = Unread()
    out = outgoing(transport, whole=False)
    out.write(b"x" * 1000)
    out.close()
    out.write(b"nothing more")
    await asyncio.wait_for(transport.ended.wait(), 10)
    async with asyncio.timeout(10):
        while "aborted" not in transport.how:
            await asyncio.sleep(0.005)
    assert transport.how[0] == "eof"
    assert len(transport.buffer) == 1000


async def test_of_all_that_is_unread_the_most_goes_first() -> None:
    limits, backlog = OutgoingLimits(all_unread_bytes=1000, stale_s=-1), Backlog()
    transports = [Unread() for _ in range(4)]
    outs = [outgoing(transport, limits, backlog=backlog) for transport in transports]
    for size, out in zip((100, 300, 500, 200), outs, strict=True):
        out.write(b"x" * size)
    assert [transport.how for transport in transports] == [[], ["aborted"], ["aborted"], []]
    for out in outs:
        out.gone()


async def test_who_may_be_reading_is_not_cut_off_for_others() -> None:
    limits, backlog = OutgoingLimits(all_unread_bytes=1000), Backlog()
    transports = [Unread() for _ in range(20)]
    outs = [outgoing(transport, limits, backlog=backlog) for transport in transports]
    for out in outs:
        out.write(b"x" * 500)
    assert not any(transport.how for transport in transports)
    for out in outs:
        out.gone()


async def test_what_still_comes_after_an_early_answer_is_thrown_away_for_a_moment() -> None:
    transport = Unread()
    out = outgoing(transport, whole=False)
    out.close()
    out.discard(HASTY.linger_bytes)
    assert not transport.ended.is_set()
    out.discard(1)
    assert transport.how == ["eof", "closed"]
    out.gone()


async def test_a_client_that_sends_nothing_more_is_not_waited_for() -> None:
    transport = Unread()
    outgoing(transport, whole=False).close()
    await asyncio.wait_for(transport.ended.wait(), 10)
    assert transport.how == ["eof", "closed"]


async def test_it_is_thrown_away_no_faster_than_others_can_bear() -> None:
    transport = Unread()
    out = outgoing(transport, OutgoingLimits(), whole=False)
    out.close()
    assert not transport.is_paused
    out.discard(1)
    assert transport.is_paused
    async with asyncio.timeout(10):
        while transport.is_paused:
            await asyncio.sleep(0.005)
    out.gone()
