"""A model's chat template: from messages to the text of a prompt, cut by who wrote what.

The template is rendered with placeholders instead of what others wrote, so that it can be told
from the template's own text afterwards: only that may hold control tokens.
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

from shared.wire.messages import ChatMessage
from worker.engine.prefixes import common_prefix
from worker.template.conversation import (
    Mark,
    functions_for,
    messages_for,
    options_for,
    switches_for,
    tools_for,
    verbatim,
)
from worker.template.environment import TemplateError, TemplateLimit
from worker.template.folding import FoldedMessage, folded
from worker.template.options import NO_OPTIONS, TemplateOptions
from worker.template.placed_text import PlacedText, RenderedPrompt
from worker.template.probing import Probe
from worker.template.renderer import InProcess, Renderer
from worker.template.sentinels import Foreign, Hole, Scaffold, scaffold_of
from worker.template.traits import TemplateTraits

_KEPT_CHARACTERS: Final = 8 << 20
"""Of scaffolds and the keys they are kept under."""
_ENDS_OF_MARKUP: Final = "?\n>]"
_QUESTION: Final = ChatMessage(role="user", content="?")


class MustRun(Exception):
    """The template must run to render this, which takes its time."""


class ChatTemplate:
    """A compiled template; thread-safe. Rendering takes its time: not for the event loop.

    Args:
        source: Jinja text.
        bos, eos: texts of these tokens ("" if the model has none).
        renderer: runs it, and is closed with this; by default this process runs it.
        clock: the local time, which some templates show.

    Raises:
        TemplateError: the template is invalid, or drops or reorders messages.
    """

    def __init__(
        self,
        source: str,
        *,
        bos: str = "",
        eos: str = "",
        renderer: Renderer | None = None,
        clock: Callable[[], datetime] = datetime.now,
    ) -> None:
        self.source = source
        self._renderer = renderer or InProcess(source)
        self._tokens = {"bos_token": bos, "eos_token": eos}
        self._clock = clock
        self._kept = _Kept(_KEPT_CHARACTERS)
        try:
            self.traits: TemplateTraits = Probe(self._run, source).traits()
        except TemplateError:
            self._renderer.close()
            raise

    def close(self) -> None:
        """End what renders."""
        self._renderer.close()

    def render(
        self,
        messages: Sequence[ChatMessage],
        options: TemplateOptions = NO_OPTIONS,
        *,
        may_run: bool = True,
    ) -> RenderedPrompt:
        """The prompt up to where the assistant's reply begins.

        Neighbours of one role are joined, as many templates refuse them. If the template has no
        place for a system message, it goes in front of the next prompt.

        Args:
            may_run: whether the template may run. Otherwise a conversation of the same roles must
                have been rendered before, and rendering takes microseconds.

        Raises:
            TemplateError: the template refuses the messages, or has no place for tools.
            MustRun: it would have to run.
        """
        self._check(messages, options)
        try:
            return self._rendered(messages, options, may_run)
        except RecursionError:
            raise TemplateLimit("what it is given is nested too deeply") from None

    def _rendered(
        self, messages: Sequence[ChatMessage], options: TemplateOptions, may_run: bool
    ) -> RenderedPrompt:
        foreign = Foreign()
        conversation = folded(messages, self.traits.system)
        variables = self._variables(conversation, options, foreign.mark)
        scaffold = self._scaffold(variables, may_run)
        _check_contents(scaffold, foreign, conversation)
        texts = [
            part.filled(foreign) if isinstance(part, Hole) else PlacedText(text=part)
            for part in scaffold
        ]
        return RenderedPrompt(texts=tuple(texts), opening=self._opening(texts, options, may_run))

    def render_text(
        self,
        messages: Sequence[ChatMessage],
        options: TemplateOptions = NO_OPTIONS,
        *,
        add_generation_prompt: bool = True,
    ) -> str:
        """The text of a prompt as the template would write it if it saw all messages.

        Raises:
            TemplateError: the template refuses the messages.
        """
        conversation = folded(messages, self.traits.system)
        variables = self._variables(conversation, options, verbatim)
        variables["add_generation_prompt"] = add_generation_prompt
        return self._run(variables, self._clock())

    def opening_of(self, options: TemplateOptions) -> str:
        """What stands at the end of a prompt only where a reply is to begin."""
        with_it = self.render_text([_QUESTION], options)
        without = self.render_text([_QUESTION], options, add_generation_prompt=False)
        length = common_prefix(with_it, without)
        if length < len(without):
            # Another end than a reply's beginning: what both have in common may be half a token.
            length = 1 + max(with_it.rfind(end, 0, length) for end in _ENDS_OF_MARKUP)
        return with_it[length:]

    def _check(self, messages: Sequence[ChatMessage], options: TemplateOptions) -> None:
        if options.tools and not self.traits.shows_tools:
            raise TemplateError("it has no place for tools")
        if options.tools and not self.traits.shows_calls:
            raise TemplateError("it shows tools, but neither calls nor how its model writes them")
        if options.tools and not self.traits.shows_results:
            raise TemplateError("it shows tools and calls, but has no place for their results")
        for message in messages:
            if message.tool_calls and not self.traits.shows_calls:
                raise TemplateError("it has no place for calls of tools")
            if message.role == "tool" and not self.traits.shows_results:
                raise TemplateError("it has no place for results of tools")

    def _variables(
        self, conversation: Sequence[FoldedMessage], options: TemplateOptions, mark: Mark
    ) -> dict[str, Any]:
        return {
            "documents": None,
            **self._of_old(options, mark),
            **switches_for(options.thinking, self.traits),
            **options_for(options.variables, mark),
            "messages": messages_for(conversation, self.traits, mark),
            "tools": tools_for(options.tools, mark) or self.traits.no_tools,
            "add_generation_prompt": True,
        }

    def _of_old(self, options: TemplateOptions, mark: Mark) -> dict[str, Any]:
        """What some older templates call tools and the date."""
        if not self.traits.names_functions:
            return {}
        return functions_for(options.tools, mark, self._clock())

    def _run(self, variables: dict[str, Any], now: datetime) -> str:
        return self._renderer.render({**variables, **self._tokens}, now)

    def _scaffold(self, variables: dict[str, Any], may_run: bool) -> Scaffold:
        now = self._clock()
        key = json.dumps([variables, f"{now:%F}" if self.traits.shows_date else ""])
        scaffold = self._kept.get(key)
        if scaffold is None:
            if not may_run:
                raise MustRun
            scaffold = scaffold_of(self._run(variables, now))
            self._kept.put(key, scaffold)
        return scaffold

    def _opening(self, texts: Sequence[PlacedText], options: TemplateOptions, may_run: bool) -> str:
        """What `opening_of` says; where a template always ends the same, all behind the prompt."""
        key = json.dumps(["opening", options.thinking, options.variables, bool(options.tools)])
        kept = self._kept.get(key)
        if kept is None:
            if not may_run:
                raise MustRun
            kept = (self.opening_of(options),)
            self._kept.put(key, kept)
        opening = str(kept[0])
        last = texts[-1]
        if opening and last.text.endswith(opening):
            return opening
        return last.text if last.origin is None else ""


class _Kept:
    """Scaffolds that were used last, as long as they are not too long together."""

    def __init__(self, most_characters: int) -> None:
        self._most = most_characters
        self._scaffolds: OrderedDict[str, Scaffold] = OrderedDict()
        self._num_characters = 0
        self._lock = threading.Lock()

    def get(self, key: str) -> Scaffold | None:
        with self._lock:
            if key in self._scaffolds:
                self._scaffolds.move_to_end(key)
            return self._scaffolds.get(key)

    def put(self, key: str, scaffold: Scaffold) -> None:
        with self._lock:
            if key not in self._scaffolds:
                self._num_characters += _size(key, scaffold)
            self._scaffolds[key] = scaffold
            while self._num_characters > self._most and len(self._scaffolds) > 1:
                self._num_characters -= _size(*self._scaffolds.popitem(last=False))


def _size(key: str, scaffold: Scaffold) -> int:
    return len(key) + sum(len(part) for part in scaffold if isinstance(part, str))


def _check_contents(
    scaffold: Scaffold, foreign: Foreign, conversation: Sequence[FoldedMessage]
) -> None:
    """What users wrote, and every reply without calls, comes out once and in order.

    Raises:
        TemplateError: it does not.
    """
    may_go = {one.index for one in conversation if one.message.tool_calls}
    wanted = [
        number
        for number, origin in enumerate(foreign.origins)
        if origin.part == "content" and origin.message not in may_go
    ]
    is_wanted = set(wanted)
    holes = [part.number for part in scaffold if isinstance(part, Hole)]
    if [number for number in holes if number in is_wanted] != wanted:
        raise TemplateError("the template does not keep every message, once and in order")
