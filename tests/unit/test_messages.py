"""What a conversation's list of messages holds, and what its order tells."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from shared.wire.messages import Role, StoredMessage, decode_messages

texts = st.text(st.characters(codec="utf-8"))


@given(st.builds(
    StoredMessage,
    number=st.integers(1, 2**53),
    role=st.sampled_from(["user", "assistant"]),
    content=texts,
    timestamp_ms=st.integers(0, 2**53),
    tokens=st.integers(0, 2**31),
    job_id=st.text("0123456789abcdef", min_size=32, max_size=32),
    token_ids=st.none() | st.lists(st.integers(0, 2**31 - 1)).map(tuple),
))  # fmt: skip
def test_a_message_survives_redis(message: StoredMessage) -> None:
    (decoded,) = decode_messages([message.encode().decode()], message.number)
    assert decoded == (message if message.role == "user" else replace(message, job_id=""))


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


def test_the_commit_script_finds_replies_by_their_role_alone() -> None:
    # commit.lua counts replies by this substring; a prompt that spells it must not count.
    mark = b'"r":"a"'
    assert (
        mark
        in StoredMessage(
            number=2, role="assistant", content="Hi", timestamp_ms=0, tokens=2, job_id="job"
        ).encode()
    )
    assert (
        mark
        not in StoredMessage(
            number=1,
            role="user",
            content='say "r":"a" twice',
            timestamp_ms=0,
            tokens=2,
            job_id="job",
        ).encode()
    )
