"""A conversation with a person: prompts and commands in, replies out."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from cli.client import ClientError, PalaverClient, ServerError
from cli.conversation_list import ConversationList, counted
from cli.last_conversation import LastConversation
from cli.line_reader import LineReader, Reader
from cli.models import chats, check_served, described, served
from cli.reply_writer import (
    NOTHING_SHOWN,
    ReplyView,
    Screen,
    ShownReply,
    cut_reply,
    is_cut,
    message_lines,
)

COMMANDS: Final = {
    "/new": "start a new conversation",
    "/list": "list your conversations, the last first; with words: those that have them",
    "/open": "with a number of that list, or an id: continue this conversation",
    "/retry": "get another reply to your last prompt",
    "/continue": "go on with the last reply, if it was cut or stopped",
    "/history": "show the whole conversation, without thoughts",
    "/model": "list the models; with a name: this one answers from the next prompt on",
    "/quit": "leave; `palaver chat` will continue this conversation",
}
_KEYS: Final = """\
Ctrl-C or /stop stops a reply, and keeps what is written.
End a line with \\ to continue on the next one."""
_RESUME_MESSAGES: Final = 6
"""Messages shown when a conversation is continued."""
_NOTHING_KEPT: Final = "\n(stopped; this turn is not part of the conversation)"
_KEPT: Final = "\n(stopped; what is written is part of the conversation: /continue goes on)"
_CUT: Final = "(cut short: /continue goes on)\n"
_STOPS_WITHIN_S: Final = 10


class Chat:
    """Reads prompts and commands, writes replies.

    Args:
        last: keeps the conversation's id for the next start.
        reader: gives prompts and commands; standard input's lines unless given.
        context: the bot's instructions in a new conversation.
        model: which one is to answer; None leaves it to the server.
        fields: further ones of every prompt.
    """

    def __init__(
        self,
        client: PalaverClient,
        last: LastConversation,
        screen: Screen,
        *,
        reader: Reader | None = None,
        context: str | None = None,
        model: str | None = None,
        fields: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self._client = client
        self._last = last
        self._screen = screen
        self._reader = reader or LineReader()
        self._context = context
        self._model = model
        self._fields = fields
        self._list = ConversationList(client)
        self._answered_by: str | None = None
        self._conversation_id: int | None = None

    def resume(self, conversation_id: int) -> None:
        """Continue a conversation: show its last messages and any reply still being generated.

        Raises:
            ServerError: it does not exist, or belongs to another key.
        """
        conversation = self._client.get(f"/conversations/{conversation_id}")
        self._use(conversation_id)
        self._answered_by = conversation.get("model")
        self._print(f"Continuing conversation {conversation_id} ({counted(conversation)}).")
        self._print_messages(_RESUME_MESSAGES)
        for job_id in conversation["pending"]:
            self._follow(job_id)

    def run(self) -> None:
        """Until the end of the input, or `/quit`."""
        self._print("Type a prompt, or /help for commands.")
        while (line := self._reader.read()) is not None:
            command = line.strip()
            if command == "/quit":
                return
            if command:
                self._try(command)

    def _try(self, line: str) -> None:
        try:
            self._execute(line)
        except ClientError as error:
            self._print(f"Failed: {error}")
        except KeyboardInterrupt:
            self._print("\n(interrupted; the prompt may have been sent: see /history)")

    def _execute(self, line: str) -> None:
        command, _, argument = line.partition(" ")
        match command:
            case _ if not line.startswith("/"):
                self._submit({"prompt": line})
            case "/list":
                self._print("\n".join(self._list.lines(argument.strip())))
            case "/open":
                self.resume(self._list.id_of(argument.strip()))
            case "/model" if argument:
                self._choose_model(argument.strip())
            case _:
                self._execute_plain(line)

    def _execute_plain(self, command: str) -> None:
        """A command that takes nothing."""
        match command:
            case "/help":
                self._print("\n".join(f"  {name:<9}  {text}" for name, text in COMMANDS.items()))
                self._print(_KEYS)
            case "/new":
                self._use(None)
                self._print("Started a new conversation.")
            case "/history":
                self._print_messages(None)
            case "/retry":
                self._retry()
            case "/continue":
                self._continue()
            case "/model":
                self._print_models()
            case "/stop":
                self._print("No reply is being written.")
            case _:
                self._print(f"Unknown command {command.split()[0]}; /help lists the commands.")

    def _use(self, conversation_id: int | None) -> None:
        """The next prompt belongs to this conversation; None for a new one."""
        self._conversation_id = conversation_id
        self._last.write(conversation_id)

    def _submit(self, body: dict[str, Any], shown: ShownReply = NOTHING_SHOWN) -> None:
        if self._conversation_id is not None:
            body["id"] = self._conversation_id
        elif self._context is not None:
            body["context"] = self._context
        if self._model is not None:
            body["model"] = self._model
        accepted = self._client.submit({**body, **self._fields})
        self._use(accepted["id"])
        self._follow(accepted["job"], shown)

    def _print_models(self) -> None:
        for model in filter(chats, served(self._client)):
            mark = "*" if model["id"] == (self._model or self._answered_by) else " "
            self._print(f"{mark} {described(model)}")

    def _choose_model(self, name: str) -> None:
        check_served(self._client, name)
        self._model = name
        self._print(f"{name} answers from the next prompt on.")

    def _retry(self) -> None:
        prompts = [message for message in self._messages(10) if message["role"] == "user"]
        if not prompts:
            self._print("There is no prompt to retry.")
            return
        self._submit({"prompt": prompts[-1]["content"], "replace_from": prompts[-1]["number"]})

    def _continue(self) -> None:
        if (shown := cut_reply(self._messages(1))) is not None:
            self._submit({"continue": True}, shown)
        else:
            self._print("There is no reply that was cut or stopped.")

    def _follow(self, job_id: str, shown: ShownReply = NOTHING_SHOWN) -> None:
        """Write a reply as it is generated, from where it is new; Ctrl-C stops it."""
        reply = self._screen.new_reply(shown)
        try:
            with self._reader.while_replying():
                for event in self._client.events(job_id):
                    self._print_event(event.kind, event.data, reply)
        except KeyboardInterrupt:
            reply.finish()
            self._client.post(f"/jobs/{job_id}/stop")
            self._print_stopped(self._client.get(f"/jobs/{job_id}?wait={_STOPS_WITHIN_S}"))

    def _print_stopped(self, job: Mapping[str, Any]) -> None:
        """What is written of a reply is kept; where nothing is, the turn is cancelled."""
        self._print(_NOTHING_KEPT if job["status"] == "cancelled" else _KEPT)
        self._leave_if_gone()

    def _leave_if_gone(self) -> None:
        """A new conversation whose first turn fails is deleted: the next prompt starts another."""
        try:
            self._client.get(f"/conversations/{self._conversation_id}")
        except ServerError as error:
            if error.status != 404:
                raise
            self._use(None)

    def _print_event(self, kind: str, data: Mapping[str, Any], reply: ReplyView) -> None:
        match kind:
            case "reasoning":
                reply.reasoning(data["text"])
            case "token":
                reply.text(data["text"])
            case "call":
                reply.call(data)
            case _:
                reply.finish()
                self._print_state(kind, data)

    def _print_state(self, kind: str, data: Mapping[str, Any]) -> None:
        match kind:
            case "queued" if data["position"] > 1:
                eta = data.get("eta_seconds")
                about = f", about {eta:.0f} s" if eta is not None else ""
                self._print(f"(number {data['position']} in the queue{about})")
            case "resumed":
                self._print("\n(another worker continues)")
            case "completed":
                self._print_writer(data.get("model"))
                dropped = data["window"]["turns_dropped"]
                self._print(f"\n({dropped} earlier turns no longer fit)" if dropped else "")
                self._screen.write(_CUT if is_cut(data) else "")
            case "failed":
                self._print(f"\n(failed: {data['error']['detail']})")
                self._leave_if_gone()
            case "cancelled":
                self._print(_NOTHING_KEPT)
                self._leave_if_gone()

    def _print_writer(self, model: str | None) -> None:
        """Which model has answered, if another one was to be expected."""
        expected = self._model or self._answered_by
        if model and expected and model != expected:
            self._print(f"\n(answered by {model})")
        self._answered_by = model

    def _print_messages(self, limit: int | None) -> None:
        for message in self._messages(limit):
            for line in message_lines(message):
                self._print(line)

    def _messages(self, limit: int | None) -> list[Any]:
        """The newest messages, oldest first; None for all."""
        known = self._conversation_id
        return [] if known is None else self._client.messages(known, limit)

    def _print(self, text: str) -> None:
        self._screen.write(f"{text}\n")
