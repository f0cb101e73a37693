"""What the scripted models of these tests reply."""

from shared.wire.parts import ToolCall
from worker.engine.interface import Part


def weather(prompt: str) -> str | list[Part]:
    """Thinks, asks for the weather in Paris, and tells it once it is known."""
    if "<tool>" in prompt:
        return [Part("reasoning", "Now I know."), Part("text", "It rains in Paris.")]
    call = ToolCall(id="call_1", name="get_weather", arguments='{"city": "Paris"}')
    return [Part("reasoning", "I must look."), Part("call", call.encode())]


def fills_in(name: str, arguments: str) -> list[Part]:
    """Calls one tool, as clients do that want values."""
    return [Part("call", ToolCall(id="call_1", name=name, arguments=arguments).encode())]
