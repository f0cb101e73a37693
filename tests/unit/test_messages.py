"""What a conversation's list of messages holds, and what its order tells."""

from dataclasses import replace

import orjson
from hypothesis import given
from hypothesis import strategies as st

from shared.wire.messages import ChatMessage, Role, StoredMessage, decode_messages
from shared.wire.parts import ToolCall

texts = st.text(st.characters(codec="utf-8"))


names = st.text(min_size=1, max_size=8)
calls = st.lists(st.builds(ToolCall, id=names, name=names, arguments=texts), max_size=3).map(tuple)
plain = {
    "number": st.integers(1, 2**53),
    "content": texts,
    "timestamp_ms": st.integers(0, 2**53),
    "tokens": st.integers(0, 2**31),
    "job_id": st.text("0123456789abcdef", min_size=32, max_size=32),
    "token_ids": st.none() | st.lists(st.integers(0, 2**31 - 1)).map(tuple),
}
prompts = st.builds(StoredMessage, role=st.sampled_from(["user", "system"]), **plain)
results = st.builds(
    StoredMessage, role=st.just("tool"), call_id=st.just("") | names, name=st.just("") | names,
    **plain,
)  # fmt: skip
replies = st.builds(
    StoredMessage,
    role=st.just("assistant"),
    written_ids=st.none() | st.lists(st.integers(0, 2**31 - 1)).map(tuple),
    reasoning=texts,
    tool_calls=calls,
    finish_reason=st.sampled_from(["", "stop", "length", "stopped", "tool_calls"]),
    model_name=texts,
    **plain,
)
any_message = st.one_of(prompts, results, replies)


@given(any_message)
def test_a_message_survives_redis(message: StoredMessage) -> None:
    (decoded,) = decode_messages([message.encode().decode()], message.number)
    assert decoded == (replace(message, job_id="") if message.role == "assistant" else message)


@given(st.builds(
    ChatMessage,
    role=st.sampled_from(["system", "user", "assistant", "tool"]),
    content=texts,
    reasoning=texts,
    tool_calls=calls,
    call_id=texts,
    name=texts,
))  # fmt: skip
def test_a_message_of_a_request_survives_redis(message: ChatMessage) -> None:
    stored = orjson.loads(orjson.dumps(message.encode()))
    expected = message
    if message.is_plain:
        expected = ChatMessage(role=message.role, content=message.content)
    assert ChatMessage.decode(stored) == expected


def test_a_reply_is_of_the_job_of_the_prompt_in_front_of_it() -> None:
    # An edit can leave two prompts in a row.
    roles: list[Role] = ["assistant", "user", "assistant", "user", "user", "assistant"]
    jobs = ["", "one", "one", "two", "three", "three"]
    messages = tuple(
        StoredMessage(number=number, role=role, content="Hi", timestamp_ms=0, tokens=2, job_id=job)
        for number, (role, job) in enumerate(zip(roles, jobs, strict=True), 4)
    )
    assert decode_messages([message.encode() for message in messages], 4) == messages
    assert b'"two"' not in messages[2].encode()


def test_a_reply_that_was_continued_names_the_job_that_did_it() -> None:
    roles: list[Role] = ["user", "assistant", "user", "assistant"]
    jobs = ["one", "later", "two", "two"]
    messages = tuple(
        StoredMessage(
            number=number,
            role=role,
            content="Hi",
            timestamp_ms=0,
            tokens=2,
            job_id=job,
            names_job=job == "later",
        )
        for number, (role, job) in enumerate(zip(roles, jobs, strict=True), 1)
    )
    texts = [message.encode() for message in messages]
    decoded = decode_messages(texts, 1)
    assert decoded == messages
    assert [message.encode() for message in decoded] == texts


def test_messages_stored_by_earlier_versions_are_read() -> None:
    """They said number and job themselves, all of them."""
    stored = [
        '{"n":4,"r":"a","c":"Hi","t":5,"k":2,"j":"one","i":[1,2]}',
        '{"n":5,"r":"u","c":"Go on","t":6,"k":3,"j":"two"}',
        '{"n":6,"r":"a","c":"Yes","t":7,"k":1,"j":"two"}',
    ]
    assert decode_messages(stored, 4) == (
        StoredMessage(
            number=4,
            role="assistant",
            content="Hi",
            timestamp_ms=5,
            tokens=2,
            job_id="one",
            token_ids=(1, 2),
        ),
        StoredMessage(
            number=5, role="user", content="Go on", timestamp_ms=6, tokens=3, job_id="two"
        ),
        StoredMessage(
            number=6, role="assistant", content="Yes", timestamp_ms=7, tokens=1, job_id="two"
        ),
    )


def test_a_message_stores_token_ids_only_where_they_are_set() -> None:
    plain = StoredMessage(
        number=1, role="user", content="Hi", timestamp_ms=0, tokens=2, job_id="job"
    )
    assert b'"i"' not in plain.encode()


@given(any_message)
def test_the_scripts_tell_roles_by_a_mark_that_no_text_can_spell(message: StoredMessage) -> None:
    """lib.lua counts replies and finds tools' results by these substrings."""
    marks = {"assistant": b'"r":"a"', "tool": b'"r":"t"', "user": b'"r":"u"', "system": b'"r":"s"'}
    hostile = "".join(mark.decode() for mark in marks.values())
    call = ToolCall(id=hostile, name=hostile, arguments=hostile)
    encoded = replace(
        message,
        content=hostile,
        reasoning=hostile,
        tool_calls=(call,),
        call_id=hostile,
        name=hostile,
        model_name=hostile,
    ).encode()
    assert {role for role, mark in marks.items() if mark in encoded} == {message.role}


@given(any_message, texts)
def test_the_scripts_tell_whether_a_reply_was_cut_as_it_is_told_here(
    message: StoredMessage, text: str
) -> None:
    """lib/history.lua, `is_cut`, looks for these substrings, which no text can spell."""
    hostile = '"e":"length","r":"a","o":[[' + text
    message = replace(message, content=hostile, reasoning=hostile, job_id="j")
    encoded = message.encode()
    is_cut = b'"e":"length"' in encoded or b'"e":"stopped"' in encoded
    has_calls = b'"o":[[' in encoded
    assert (b'"r":"a"' in encoded and is_cut and not has_calls) == message.can_continue


def test_the_thoughts_of_a_reply_that_calls_nothing_do_not_keep_older_versions_from_it() -> None:
    reply = StoredMessage(
        number=2, role="assistant", content="4", timestamp_ms=0, tokens=2, job_id="", reasoning="Hm"
    )
    call = ToolCall(id="c", name="f", arguments="{}")
    assert not reply.needs_parts
    assert replace(reply, tool_calls=(call,)).needs_parts
    assert replace(reply, role="tool", reasoning="").needs_parts
