"""What a client's next request begins with is known by a digest, however the client writes it."""

from dataclasses import replace

import pytest

from shared.wire.messages import ChatMessage
from shared.wire.parts import Tool, ToolCall
from shared.wire.prefix_digest import digest_before, digest_behind
from shared.wire.sampling import Sampling
from shared.wire.turn_request import ToolUse, TurnRequest


def user(text: str) -> ChatMessage:
    return ChatMessage(role="user", content=text)


def reply(text: str, *calls: ToolCall, reasoning: str = "") -> ChatMessage:
    return ChatMessage(role="assistant", content=text, tool_calls=calls, reasoning=reasoning)


def result(text: str, call_id: str = "1") -> ChatMessage:
    return ChatMessage(role="tool", content=text, call_id=call_id)


def call(arguments: str, call_id: str = "1", name: str = "weather") -> ToolCall:
    return ToolCall(id=call_id, name=name, arguments=arguments)


def request(*messages: ChatMessage) -> TurnRequest:
    return TurnRequest(
        prompt="", context=None, replace_from=None, sampling=Sampling(), messages=messages
    )


SYSTEM = ChatMessage(role="system", content="Persona.")
ASKS = request(SYSTEM, user("Hello"))
BEHIND = digest_behind("me", ASKS, reply("Hi there."))


def found(*sent_back: ChatMessage) -> bool:
    """Whether the next request is known by what a client sends back of the reply."""
    return digest_before("me", request(SYSTEM, user("Hello"), *sent_back)) == BEHIND


# The same beginning.


def test_the_next_request_begins_with_what_the_last_one_ended_with() -> None:
    assert found(reply("Hi there."), user("And now?"))
    assert len(BEHIND) == 32


@pytest.mark.parametrize(
    "sent_back",
    [
        reply("Hi there."),
        reply("\nHi there.  "),
        reply("Hi there.", reasoning="A thought of another model"),
    ],
)
def test_thoughts_and_blanks_around_a_reply_do_not_count(sent_back: ChatMessage) -> None:
    assert found(sent_back, user("And now?"))


def test_a_reply_that_is_sent_back_in_several_messages_is_one() -> None:
    assert found(reply("Hi"), reply(" there."), user("And now?"))


def test_several_messages_may_follow_the_last_reply() -> None:
    assert found(reply("Hi there."), user("One."), user("Two."), SYSTEM)


def test_a_reply_that_the_client_has_begun_does_not_count() -> None:
    assert found(reply("Hi there."), user("And now?"), reply("Well,"))


def test_a_reply_that_was_begun_by_the_client_is_one_with_its_beginning() -> None:
    begun = request(SYSTEM, user("Hello"), reply("Hi"))
    assert digest_behind("me", begun, reply(" there.")) == BEHIND


@pytest.mark.parametrize(
    ("wrote", "sends"),
    [
        ('{"city": "Paris", "days": 2}', '{"days":2,"city":"Paris"}'),
        ('{"city": "\\u00c9pinal"}', '{"city":"Épinal"}'),
        ("", "{}"),
        ("not JSON ", "not JSON"),
    ],
)
def test_a_call_is_the_same_however_its_arguments_and_its_id_are_written(
    wrote: str, sends: str
) -> None:
    behind = digest_behind("me", request(user("?")), reply("", call(wrote)))
    again = request(user("?"), reply("", call(sends, "2")), result("9 degrees", "2"))
    assert digest_before("me", again) == behind


def test_a_text_and_a_call_may_come_back_as_two_messages() -> None:
    behind = digest_behind("me", request(user("?")), reply("Wait.", call("{}")))
    again = request(user("?"), reply("Wait."), reply("", call("{}")), result("9"))
    assert digest_before("me", again) == behind


def test_instructions_and_items_of_a_response_are_its_beginning() -> None:
    items = TurnRequest(
        prompt="Hello", context=None, replace_from=None, sampling=Sampling(), instructions="Be."
    )
    behind = digest_behind("me", items, reply("Hi."))
    again = replace(items, earlier=(user("Hello"), reply("Hi.")), prompt="And now?")
    assert digest_before("me", again) == behind
    assert digest_before("me", replace(again, instructions="Be not.")) != behind


def test_a_result_that_is_the_prompt_of_a_response_is_a_result_afterwards() -> None:
    called = (user("?"), reply("", call("{}")))
    items = TurnRequest(
        prompt="9", call_id="1", context=None, replace_from=None, sampling=Sampling(),
        earlier=called,
    )  # fmt: skip
    behind = digest_behind("me", items, reply("Nine."))
    again = replace(
        items, earlier=(*called, result("9"), reply("Nine.")), prompt="And now?", call_id=""
    )
    assert digest_before("me", again) == behind


# Another beginning, or none.


@pytest.mark.parametrize(
    "sent_back",
    [
        [reply("Hi there"), user("And now?")],
        [reply("Hi  there."), user("And now?")],
        [user("Hi there."), user("And now?")],
        [reply("Hi there.", call("{}")), user("And now?")],
        [reply("Hi there."), user("And now?"), reply("Later."), user("?")],
        [user("What?"), reply("Hi there."), user("And now?")],
    ],
)
def test_another_history_is_not_taken_for_it(sent_back: list[ChatMessage]) -> None:
    assert not found(*sent_back)


def test_neighbours_of_other_roles_are_not_joined() -> None:
    apart, together = request(user("a"), user("b")), request(user("ab"))
    assert digest_behind("me", apart, reply("c")) != digest_behind("me", together, reply("c"))


def test_another_owner_has_another_beginning() -> None:
    again = request(SYSTEM, user("Hello"), reply("Hi there."), user("And now?"))
    assert digest_before("you", again) != BEHIND


def test_other_tools_are_another_beginning() -> None:
    again = request(SYSTEM, user("Hello"), reply("Hi there."), user("And now?"))
    tools = ToolUse(tools=(Tool(name="weather"),))
    assert digest_before("me", replace(again, tool_use=tools)) != BEHIND


def test_without_a_reply_there_is_nothing_to_begin_with() -> None:
    assert digest_before("me", ASKS) == ""
    assert digest_before("me", request(reply("Well,"))) == ""


@pytest.mark.parametrize("kind", [{"is_plain": True}, {"counts_only": True}])
def test_what_is_no_conversation_has_no_beginning(kind: dict[str, bool]) -> None:
    again = replace(request(user("a"), reply("b"), user("c")), **kind)  # type: ignore[arg-type]  # both are bool
    assert digest_before("me", again) == ""
    assert digest_behind("me", again, reply("d")) == ""
