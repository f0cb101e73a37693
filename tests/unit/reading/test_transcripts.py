"""Replies as well-known models write them, token by token."""

from shared.wire.turn_request import ToolUse
from tests.unit.reading.readings import USE as _USE
from tests.unit.reading.readings import format_of, read

QWEN = format_of("tagged JSON")
MISTRAL = format_of("list")
LLAMA = format_of("bare JSON")


def test_qwen3_thinks_and_calls_twice() -> None:
    pieces = ["<think>", "\n", "Okay", ", the", " user", "...\n", "</think>", "\n\n"]
    pieces += ["<tool_call>", "\n", '{"', "name", '":', ' "', "weather", '",', ' "arguments', '":']
    pieces += [' {"', "city", '":', ' "', "Paris", '"', "}}\n", "</tool_call>", "\n"]
    pieces += ["<tool_call>", '\n{"name": "clock", "arguments": {}}\n', "</tool_call>"]
    assert read(QWEN, pieces) == [
        ("reasoning", "Okay, the user..."),
        ("call", 'weather {"city": "Paris"}'),
        ("call", "clock {}"),
    ]


def test_qwen3_with_thoughts_switched_off_just_answers() -> None:
    opening = "<|assistant|><think>\n\n</think>\n\n"
    assert read(QWEN, ["Hello", "!\n", "Bye."], opening=opening) == [("text", "Hello!\nBye.")]


def test_blanks_in_front_of_a_thought_are_no_answer() -> None:
    pieces = ["\n", "<think>", "Hm", "</think>", "Hi"]
    for use in (_USE, ToolUse()):
        assert read(QWEN, pieces, use=use) == [("reasoning", "Hm"), ("text", "Hi")]


def test_r1_goes_on_in_the_thought_that_its_prompt_has_opened() -> None:
    opening = "<|assistant|><think>\n"
    pieces = ["Hm", ".\n\n", "So 2.", "\n", "</think>", "\n\n", "It is **2**."]
    assert read(QWEN, pieces, opening=opening) == [
        ("reasoning", "Hm.\n\nSo 2."),
        ("text", "It is **2**."),
    ]


def test_a_thought_that_is_cut_is_no_answer() -> None:
    assert read(QWEN, ["<think>", "\nHm", ", </th"]) == [("reasoning", "Hm, </th")]


def test_hermes_says_something_before_it_calls_with_arguments_first() -> None:
    text = 'Let me look.\n<tool_call>{"arguments": {"city": "A"}, "name": "weather"}</tool_call>'
    assert read(QWEN, list(text)) == [
        ("text", "Let me look."),
        ("call", 'weather {"city": "A"}'),
    ]


def test_arguments_that_are_a_string_of_json_are_an_object() -> None:
    text = '<tool_call>{"name": "weather", "arguments": "{\\"city\\": \\"A\\"}"}</tool_call>'
    assert read(QWEN, [text]) == [("call", 'weather {"city": "A"}')]


def test_a_call_whose_closing_tag_is_missing_is_a_call() -> None:
    assert read(QWEN, ['<tool_call>\n{"name": "clock", "arguments": {}}']) == [("call", "clock {}")]


def test_mistral_calls_with_ids_of_its_own() -> None:
    reply = '[TOOL_CALLS][{"name": "weather", "arguments": {"city": "A"}, "id": "abcDEF123"}]'
    reader = MISTRAL.new_reader(
        opening="", tool_use=_USE, json_schema=None, call_id=lambda index: f"call_{index}"
    )
    (part,) = [*reader.push(reply), *reader.finish()]
    assert '"id":"abcDEF123"' in part.text


def test_an_id_that_no_client_could_give_back_is_replaced() -> None:
    reply = '[TOOL_CALLS][{"name": "clock", "arguments": {}, "id": "\\ud800"}]'
    reader = MISTRAL.new_reader(
        opening="", tool_use=_USE, json_schema=None, call_id=lambda index: f"call_{index}"
    )
    (part,) = [*reader.push(reply), *reader.finish()]
    assert '"id":"call_0"' in part.text


def test_llama_writes_bare_json() -> None:
    pieces = ['{"', "name", '": "', "weather", '", "parameters": {"', 'city": "A"', "}}"]
    assert read(LLAMA, pieces) == [("call", 'weather {"city": "A"}')]


def test_json_that_llama_shows_is_text() -> None:
    for text in ('{"name": "Bob", "parameters": {}}', '{"a": 1}', "{not json}", '{"name": "we'):
        assert read(LLAMA, list(text)) == [("text", text)]


def test_numbers_and_escapes_in_arguments_stay_as_they_were_written() -> None:
    arguments = '{"city":"\\u00e9\\ud83e","days": 1.50e+2 , "a" : [ 1, {} ]}'
    text = f'<tool_call>{{"name": "weather", "arguments": {arguments}}}</tool_call>'
    assert read(QWEN, list(text)) == [("call", f"weather {arguments}")]


def test_not_a_number_is_no_argument() -> None:
    text = '<tool_call>{"name": "weather", "arguments": {"days": NaN}}</tool_call>'
    assert read(QWEN, [text]) == [("text", text)]


def test_control_tokens_that_are_no_markup_are_no_text() -> None:
    pieces = ["<think>", "a", "<|x|>", "b", "</think>", "c", "<|x|>", "d"]
    parts = read(QWEN, pieces, controls=("<|x|>", "<think>", "</think>"))
    assert parts == [("reasoning", "ab"), ("text", "cd")]
