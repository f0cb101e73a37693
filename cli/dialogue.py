"""`palaver chat` without a prompt: starts a conversation with a person, or goes on with one."""

import sys
from typing import Final

from cli.chat import COMMANDS, Chat
from cli.chat_options import ChatOptions
from cli.client import PalaverClient, ServerError, Unreachable
from cli.last_conversation import LastConversation, history_file, state_file
from cli.line_reader import LineReader, Reader
from cli.models import NotServed, check_served
from cli.terminal import is_capable, screen_for

_NOT_FOUND: Final = 404
HOW_TO_START: Final = "start it with `palaver serve`, or give its address with PORT or --url"


def dialogue(client: PalaverClient, options: ChatOptions) -> int:
    """Run until the user leaves; returns the exit status."""
    last = LastConversation(state_file(), client.url)
    chat = Chat(
        client,
        last,
        screen_for(options.shows_thoughts),
        reader=_reader(),
        context=options.context,
        model=options.model,
        fields=options.prompt_fields,
    )
    is_new = options.is_new or options.context is not None
    resumed_id = options.conversation_id or (None if is_new else last.read())
    try:
        client.get("/healthz")
        if options.model is not None:
            check_served(client, options.model)
        if resumed_id is not None:
            chat.resume(resumed_id)
    except Unreachable as error:
        return _refuse(f"{error}; {HOW_TO_START}")
    except NotServed as error:
        return _refuse(error)
    except ServerError as error:
        # Forget it only if it is gone: without keys, its id is the only way back to it.
        if options.conversation_id is not None or error.status != _NOT_FOUND:
            return _refuse(error)
        last.write(None)
    chat.run()
    return 0


def _reader() -> Reader:
    if not (is_capable() and sys.stdin.isatty()):
        return LineReader()
    from cli.prompt_reader import PromptReader  # noqa: PLC0415 - takes longer than help

    return PromptReader(history_file(), COMMANDS.items())


def _refuse(error: object) -> int:
    print(f"palaver: {error}", file=sys.stderr)
    return 1
