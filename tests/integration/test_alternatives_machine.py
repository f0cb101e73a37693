"""Edits, switches, deletions in any order: the scripts against a model of whole histories."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from shared import ids
from shared.errors import ConversationBusy, NoSuchAlternative, NoSuchConversation, StillInUse
from shared.store.alternatives import Alternatives
from shared.store.connection import connect
from shared.store.conversations import Conversations
from shared.store.keys import Keys
from shared.wire.alternative_ids import alternatives_of
from shared.wire.history import History
from shared.wire.limits import Caller, Limits
from shared.wire.messages import Role, StoredMessage
from shared.wire.write_outcome import WriteOutcome
from tests.integration.bench import Bench, completion
from tests.servers import Valkey, make_settings

OWNER = "alice"
KEPT = 3
picks = st.integers(0, 99)


@dataclass(frozen=True)
class State:
    """A conversation with all messages that it has had on this path, deleted ones included."""

    history: tuple[StoredMessage, ...] = ()
    offset: int = 1
    context: str = "Persona."


@dataclass(frozen=True)
class Aside:
    """A state that another one has replaced from a number on."""

    number: int
    state: State

    @property
    def id(self) -> str:
        return f"{self.number}-{self.state.history[self.number - 1].job_id}"

    @property
    def before(self) -> tuple[StoredMessage, ...]:
        return self.state.history[: self.number - 1]

    @property
    def tail(self) -> tuple[StoredMessage, ...]:
        return self.state.history[self.number - 1 :]

    def continues(self, other: State) -> bool:
        return other.history[: self.number - 1] == self.before


@dataclass
class Expected:
    """The conversation as it should be."""

    id: str = ""
    first: int = 1
    state: State = State()
    asides: list[Aside] = field(default_factory=list)

    @property
    def exists(self) -> bool:
        return bool(self.id)

    @property
    def can_continue(self) -> bool:
        kept = self.state.history[self.first - 1 :]
        return self.exists and bool(kept) and kept[-1].can_continue

    def put_aside(self, number: int) -> None:
        if number <= len(self.state.history):
            self.asides.append(Aside(number, self.state))

    def limit(self) -> None:
        self.asides = self.asides[-KEPT:]
        self.prune()

    def prune(self) -> None:
        """Drop what no switch leads to any more."""
        reached, states = set[str](), [self.state]
        while states:
            state = states.pop()
            for aside in self.asides:
                new = aside.id not in reached and aside.number >= self.first
                if new and aside.continues(state):
                    reached.add(aside.id)
                    states.append(aside.state)
        self.asides = [aside for aside in self.asides if aside.id in reached]

    def switchable(self, number: int) -> list[Aside]:
        """Those that may stand from a number on, as first submitted."""
        there = [a for a in self.asides if a.number == number and a.continues(self.state)]
        return sorted(there, key=lambda aside: aside.id)

    def replace(self, before: StoredMessage, after: StoredMessage) -> None:
        """The same message in all states that have it."""

        def changed(state: State) -> State:
            history = tuple(after if each == before else each for each in state.history)
            return replace(state, history=history)

        self.state = changed(self.state)
        self.asides = [replace(aside, state=changed(aside.state)) for aside in self.asides]

    def forget_if_empty(self) -> None:
        if not self.state.history and not self.asides:
            self.id = ""


class Machine(RuleBasedStateMachine):
    """One conversation at a time; what is known of those before is forgotten."""

    def __init__(self, url: str, history_limit: int) -> None:
        super().__init__()
        configured = make_settings(
            url,
            PALAVER_ALTERNATIVES=KEPT,
            PALAVER_HISTORY_LIMIT=history_limit,
            PALAVER_CONVERSATION_TTL=86400,
        )
        self.runner = asyncio.Runner()
        self.keys = Keys(configured.namespace)
        client = connect(configured)
        self.redis: Any = client
        self.bench = Bench(client, self.keys, configured)
        self.conversations = Conversations(client, self.keys, configured)
        self.alternatives = Alternatives(client, self.keys, configured)
        self.run(self.bench.serve("w1"))
        self.expected = Expected()
        self.known: list[str] = [f"1-{'0' * 32}"]
        self.turns: dict[str, int] = {}
        """The numbers of the prompts of all turns, by job."""
        self.jobs_of: dict[str, list[str]] = {}
        """Those that have continued the reply of a turn, by its job."""

    def run(self, awaitable: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(awaitable)

    def submit(self, replace_from: int | None, **fields: Any) -> Any:
        expected = self.expected
        return self.run(
            self.bench.submit(expected.id or None, owner=OWNER, replace_from=replace_from, **fields)
        )

    @rule(pick=picks, edits=st.booleans(), context=st.sampled_from([None, None, "New."]))
    def turn(self, pick: int, edits: bool, context: str | None) -> None:
        expected = self.expected
        wanted = pick % (len(expected.state.history) + 1) + 1 if edits and expected.exists else None
        submission = self.submit(wanted, context=context)
        if not expected.exists:
            self.expected = expected = Expected(id=submission.conversation_id)
        number = max(expected.first, wanted or len(expected.state.history) + 1)
        offset = turns_until(expected, number)[-1 - pick % 2 :][0]
        claim = self.run(self.bench.claim())
        assert claim.history.next_number == number
        assert pins_in(claim.history) == {
            message.number
            for message in expected.state.history[expected.first - 1 : number - 1]
            if message.is_pinned
        }
        done = completion(claim, number, offset=offset)
        reason = "length" if pick % 3 else "stop"
        named = replace(done.assistant, finish_reason=reason, model_name=f"m{pick % 2}")
        ended = self.run(
            self.bench.claims.commit(claim, replace(done, assistant=named, folds=True))
        )
        assert ended.outcome is WriteOutcome.OK
        assert self.run(self.bench.claims.commit(claim, done)).outcome is WriteOutcome.DUP
        expected.put_aside(number)
        expected.state = State(
            history=(*expected.state.history[: number - 1], done.user, named),
            offset=offset,
            context=context or expected.state.context,
        )
        self.turns[claim.job_id] = number
        self.jobs_of[claim.job_id] = []
        self.known.append(f"{number}-{claim.job_id}")
        expected.limit()
        self.trim()

    def trim(self) -> None:
        """The history limit is tested elsewhere: how far it goes is taken as it is."""
        expected = self.expected
        expected.first = int(
            self.run(self.redis.hget(self.keys.conversation(expected.id), "first"))
        )
        expected.prune()

    @precondition(lambda self: self.expected.can_continue)
    @rule(pick=picks)
    def grow(self, pick: int) -> None:
        """A turn that continues the last reply."""
        expected = self.expected
        self.submit(None, prompt="", continues=True)
        claim = self.run(self.bench.claim())
        *before, prompt, reply = expected.state.history
        assert claim.standing.message == replace(reply, model_name="")
        offset = turns_until(expected, prompt.number)[-1 - pick % 2 :][0]
        done = completion(claim, prompt.number, reply=reply.content + "!", offset=offset)
        grown = replace(
            done.assistant, finish_reason="length" if pick % 3 else "stop", model_name="m0"
        )
        done = replace(done, assistant=grown)
        assert self.run(self.bench.claims.commit(claim, done)).outcome is WriteOutcome.OK
        assert self.run(self.bench.claims.commit(claim, done)).outcome is WriteOutcome.DUP
        expected.state = replace(expected.state, history=(*before, prompt, grown), offset=offset)
        self.known.append(f"{grown.number}-{claim.job_id}")
        self.jobs_of[prompt.job_id].append(claim.job_id)
        self.trim()

    @precondition(lambda self: self.expected.exists)
    @rule(replace_from=st.none() | st.just(1))
    def give_up(self, replace_from: int | None) -> None:
        """A turn that comes to nothing; while it is pending, nothing is switched."""
        submission = self.submit(replace_from)
        for aside in self.expected.asides:
            refused = NoSuchAlternative, ConversationBusy
            with pytest.raises(refused[aside.continues(self.expected.state)]):
                self.run(self.alternatives.switch(self.expected.id, OWNER, aside.id))
        self.run(self.bench.submissions.cancel(submission.job_id, OWNER))
        self.expected.forget_if_empty()

    @precondition(lambda self: self.expected.exists)
    @rule()
    def add(self) -> None:
        expected, batch = self.expected, ids.new_job()
        number = len(expected.state.history) + 1
        roles: tuple[Role, ...] = ("user", "assistant")
        added = [
            StoredMessage(
                number=number + place,
                role=role,
                content="Added",
                timestamp_ms=1,
                tokens=0,
                job_id=batch,
                place=place,
            )
            for place, role in enumerate(roles)
        ]
        caller = Caller(owner_id=OWNER, limits=Limits())
        self.run(self.conversations.add(expected.id, caller, batch, added))
        expected.state = replace(expected.state, history=(*expected.state.history, *added))
        self.trim()

    @precondition(lambda self: self.expected.exists)
    @rule(pick=picks, is_pinned=st.sampled_from([True, True, False]))
    def pin(self, pick: int, is_pinned: bool) -> None:
        expected = self.expected
        number = pick % (len(expected.state.history) + 1) + 1
        call = self.conversations.pin(expected.id, OWNER, number, is_pinned=is_pinned)
        assert self.run(self.conversations.pin(expected.id, "eve", number, is_pinned=True)) is None
        if not expected.first <= number <= len(expected.state.history):
            assert self.run(call) is None
            return
        before = expected.state.history[number - 1]
        pinned = replace(before, is_pinned=is_pinned)
        assert self.run(call) == pinned
        expected.replace(before, pinned)

    @precondition(lambda self: self.expected.exists)
    @rule(pick=picks, near=st.booleans())
    def switch(self, pick: int, near: bool) -> None:
        expected = self.expected
        offered = [aside.id for aside in expected.asides if aside.continues(expected.state)]
        among = offered if near and offered else self.known
        wanted = among[pick % len(among)]
        with pytest.raises(NoSuchConversation):
            self.run(self.alternatives.switch(expected.id, "eve", wanted))
        call = self.alternatives.switch(expected.id, OWNER, wanted)
        there = [
            message
            for message in expected.state.history[expected.first - 1 :]
            if f"{message.number}-{message.job_id}" == wanted
        ]
        if there:
            self.run(call)  # it stands already
        elif wanted not in offered:
            with pytest.raises(NoSuchAlternative):
                self.run(call)
        else:
            self.run(call)
            (aside,) = [aside for aside in expected.asides if aside.id == wanted]
            expected.put_aside(aside.number)
            expected.asides.remove(aside)
            expected.state = aside.state
            expected.limit()

    @precondition(lambda self: self.expected.exists and self.turns)
    @rule(pick=picks)
    def forget(self, pick: int) -> None:
        job = list(self.turns)[pick % len(self.turns)]
        number, expected = self.turns[job], self.expected
        call = self.conversations.forget_response(job, OWNER)
        holder = next(
            (s for s in (expected.state, *(a.state for a in expected.asides)) if has(s, job)), None
        )
        if holder is None or number < expected.first:
            assert self.run(call) is True
            del self.turns[job]
            return
        parts = (job, *self.jobs_of[job])
        continued = any(
            aside.before and aside.before[-1].job_id in parts and aside.number > expected.first
            for aside in expected.asides
        )
        if continued or len(holder.history) != number + 1:
            with pytest.raises(StillInUse):
                self.run(call)
            return
        assert self.run(call) is True
        del self.turns[job]
        del self.jobs_of[job]
        for part in parts:
            assert not self.run(self.redis.exists(self.keys.job(part), self.keys.events(part)))
        left = replace(
            holder, history=holder.history[: number - 1], offset=min(holder.offset, number)
        )
        if holder is expected.state:
            expected.state = left
        else:
            expected.asides = [
                replace(aside, state=left) if aside.state is holder else aside
                for aside in expected.asides
                if aside.state is not holder or aside.number < number
            ]
        expected.forget_if_empty()

    @precondition(lambda self: self.expected.exists)
    @rule(sure=st.sampled_from([False, False, True]))
    def delete(self, sure: bool) -> None:
        assert (
            self.run(self.conversations.delete(self.expected.id, OWNER if sure else "eve")) is sure
        )
        if sure:
            self.expected, self.turns = Expected(), {}

    # What always holds.

    @invariant()
    def check(self) -> None:
        self.run(self.check_keys())
        if self.expected.exists:
            self.run(self.check_conversation())

    async def check_keys(self) -> None:
        prefix, expected = self.keys.namespace, self.expected
        names = {name async for name in self.redis.scan_iter(f"{prefix}:*")}
        about = {f"{prefix}:alternative:{expected.id}:{aside.id}" for aside in expected.asides}
        tails = {f"{name}:messages" for name in about}
        assert {name for name in names if ":alternative:" in name} == about | tails
        listed = f"{prefix}:conv:{expected.id}:alternatives"
        assert {name for name in names if name.endswith(":alternatives")} == (
            {listed} if expected.asides else set()
        )
        if expected.exists:
            together = {self.keys.conversation(expected.id), *about, *tails} | ({listed} & names)
            assert len({await self.redis.pexpiretime(name) for name in together}) == 1
            assert await self.redis.pttl(self.keys.conversation(expected.id)) > 0

    async def check_conversation(self) -> None:
        expected = self.expected
        name = self.keys.conversation(expected.id)
        stored = await self.redis.hmget(name, "next", "turns", "offset", "context")
        history = expected.state.history
        turns = len([message for message in history if message.role == "assistant"])
        offset = str(expected.state.offset) if history[expected.first - 1 :] else stored[2]
        assert stored == [str(len(history) + 1), str(turns), offset, expected.state.context]
        with pytest.raises(NoSuchConversation):
            await self.alternatives.list(expected.id, "eve")
        page = await self.conversations.page(expected.id, OWNER, 500, 0)
        assert page is not None
        assert page.messages == history[expected.first - 1 :]
        for message in page.messages:
            others = [aside.id for aside in expected.switchable(message.number)]
            ids_of = sorted([*others, f"{message.number}-{message.job_id}"])
            shown = alternatives_of(message, page.alternatives)
            assert (shown["ids"] if shown else ids_of) == ids_of
            assert bool(shown) == bool(others)
        wanted = [
            aside for number in range(1, len(history) + 2) for aside in expected.switchable(number)
        ]
        kept = await self.alternatives.list(expected.id, OWNER)
        assert [each.alternative_id for each in kept] == [aside.id for aside in wanted]
        assert [each.messages for each in kept] == [aside.tail for aside in wanted]

    def teardown(self) -> None:
        try:
            if self.expected.exists:
                self.delete(True)
                self.check()
            with pytest.raises(NoSuchConversation):
                self.run(self.alternatives.list(self.expected.id or "1", OWNER))
        finally:
            self.run(self.redis.aclose(close_connection_pool=True))
            self.runner.close()


def pins_in(history: History) -> set[int]:
    """The numbers of the pinned messages that a turn sees, in the window and before it."""
    shown = [*history.messages, *(message for turn in history.pinned for message in turn)]
    assert all(any(each.is_pinned for each in turn) for turn in history.pinned)
    assert len({each.number for each in shown}) == len(shown)
    return {message.number for message in shown if message.is_pinned}


def turns_until(expected: Expected, number: int) -> list[int]:
    """Numbers at which a turn begins: the window may begin there."""
    history = expected.state.history
    behind = [
        m.number + 1 for m in history[expected.first - 1 : number - 1] if m.role == "assistant"
    ]
    return [expected.first, *behind]


def has(state: State, job: str) -> bool:
    return any(message.job_id == job for message in state.history)


@pytest.mark.slow
@pytest.mark.parametrize("history_limit", [0, 6])
def test_alternatives_in_any_order(own_valkey: Valkey, history_limit: int) -> None:
    class Here(Machine):
        def __init__(self) -> None:
            super().__init__(own_valkey.url, history_limit)

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=20,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
