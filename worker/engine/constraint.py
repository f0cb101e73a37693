"""Makes replies follow a JSON schema or a grammar, with llguidance.

A schema is followed to the letter, or refused with the name of what cannot be followed. As schemas
come from clients, their size is limited before anything parses them, and llguidance's own limits
bound compiling and using them; past these, only that reply fails.
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from llguidance import LLMatcher, LLParserLimits, LLTokenizer, TokenizerWrapper

from worker.engine.interface import EngineError, Grammar, UnusableRequest
from worker.engine.vocabulary import ModelVocabulary

if TYPE_CHECKING:
    from llguidance._lib import JsonCompileOptions

MAX_SCHEMA_BYTES: Final = 65_536
MAX_GRAMMAR_BYTES: Final = 4 * MAX_SCHEMA_BYTES
"""Of a grammar for calls, which holds the schemas of all tools."""
MAX_DEPTH: Final = 64
_KEPT: Final = 64
"""Number of compiled schemas kept: those used last."""

_OPTIONS: "Final[JsonCompileOptions]" = {
    # A schema must not switch off its own enforcement.
    "lenient": False,
    "coerce_one_of": False,
    # A newline with indent, or one space: unlimited, a model could write whitespace for ever.
    "whitespace_pattern": r" |\n[ \t]{0,32}",
}
_FORBIDDEN: Final = {
    "x-guidance": "x-guidance is not supported",
    "nullable": 'nullable is not JSON Schema: say "type": ["…", "null"]',
    "exclusiveMinimum": "exclusiveMinimum must be a number",
    "exclusiveMaximum": "exclusiveMaximum must be a number",
}
"""Keywords that would be ignored or would change the meaning of others."""
_OF_SCHEMAS: Final = frozenset({"properties", "patternProperties", "$defs", "definitions"})
"""Keywords that map the client's own names to schemas."""
_CONSTANTS: Final = frozenset({"const", "enum"})
_OF_VALUES: Final = _CONSTANTS | {"default", "examples", "required"}
"""Keywords whose contents are values, not schemas."""
_BEFORE: Final = ("", "\n", "\x01")
"""Prefixes to tokenize a text after, to get the tokens that it has inside a longer text."""
_MOST_BEFORE: Final = 8
"""The most tokens of a prefix with a space."""
_LIMITS: Final = LLParserLimits(verbose_errors=False)


class SchemaError(UnusableRequest):
    """A JSON schema cannot be followed."""


class Constraints:
    """Compiles schemas for a model's vocabulary; thread-safe.

    Args:
        vocabulary: of the model; a schema allows or forbids its tokens' bytes.
    """

    def __init__(self, vocabulary: ModelVocabulary) -> None:
        self.size = vocabulary.size
        self._tokens = _Tokens(vocabulary)
        self._tokenizer = LLTokenizer(
            TokenizerWrapper(self._tokens),
            n_vocab=vocabulary.size,
            eos_token=vocabulary.eog_tokens,
            slices=LLTokenizer.json_slices(),
        )
        self._lock = threading.Lock()
        self._compiled: OrderedDict[Grammar, LLMatcher] = OrderedDict()

    def of(self, grammar: Grammar) -> "Constraint":
        """The constraint of what is to be written from here on.

        Raises:
            SchemaError: it is no schema or grammar, too large, or cannot be followed.
        """
        with self._lock:
            matcher = self._compiled.get(grammar)
        if matcher is None:
            matcher = self._compile(grammar)
        with self._lock:
            self._compiled[grammar] = matcher
            self._compiled.move_to_end(grammar)
            while len(self._compiled) > _KEPT:
                self._compiled.popitem(last=False)
            return Constraint(matcher.deep_copy(), self.size)

    def _compile(self, grammar: Grammar) -> LLMatcher:
        if grammar.kind == "json":
            compiled = grammar_of(grammar.text)
            self._check_texts(grammar.text)
        else:
            compiled = lark_grammar_of(grammar.text)
        matcher = LLMatcher(self._tokenizer, compiled, log_level=0, limits=_LIMITS)
        if matcher.is_error():
            raise SchemaError(_first_line(matcher.get_error()))
        try:
            # A reference to itself becomes an error only when something is to be written.
            nothing_can_begin = not len(Constraint(matcher.deep_copy(), self.size).allowed())
        except EngineError:
            nothing_can_begin = True
        if nothing_can_begin:
            raise SchemaError("no reply can follow this schema")
        return matcher

    def _check_texts(self, schema: str) -> None:
        """Refuse texts that replies may have to contain, and that the model cannot write."""
        for text in _fixed_texts(json.loads(schema)):
            # As JSON, which escapes control characters.
            written = json.dumps(text, ensure_ascii=False)
            if not self._tokens(written.encode("utf-8", "surrogatepass")):
                raise SchemaError(f"the model has no tokens to write {text[:40]!r} with")


class Constraint:
    """What may come next in one reply.

    Args:
        matcher: at the start of the reply; owned from now on.
        size: of the vocabulary.
    """

    def __init__(self, matcher: LLMatcher, size: int) -> None:
        self._matcher = matcher
        self._size = size
        self._mask = np.zeros((size + 31) // 32, np.int32)

    @property
    def is_complete(self) -> bool:
        """Whether nothing may follow."""
        return bool(self._matcher.is_stopped()) and not self._matcher.is_error()

    @property
    def may_end(self) -> bool:
        """Whether the reply so far satisfies the schema."""
        return bool(self._matcher.is_accepting())

    def allows(self, token: int) -> bool:
        """Whether a token may come next; not for tokens that end the reply."""
        return bool(self._matcher.validate_tokens([token]) == 1)

    def allowed(self) -> npt.NDArray[np.intp]:
        """All tokens that may come next, including those that end the reply.

        Raises:
            EngineError: finding them exceeds the limits.
        """
        self._matcher.unsafe_compute_mask_ptr(self._mask.ctypes.data, self._mask.nbytes)
        self._check()
        bits = np.unpackbits(self._mask.view(np.uint8), bitorder="little")
        return np.flatnonzero(bits[: self._size])

    def accept(self, token: int) -> None:
        """Record a token that was drawn.

        Raises:
            EngineError: it is not allowed, or exceeds the limits.
        """
        self._matcher.consume_token(token)
        self._check()

    def _check(self) -> None:
        if self._matcher.is_error():
            raise EngineError(f"the schema: {_first_line(self._matcher.get_error())}")


class _Tokens:
    """A vocabulary in the form that llguidance expects."""

    def __init__(self, vocabulary: ModelVocabulary) -> None:
        pieces = [vocabulary.piece_of(token) for token in range(vocabulary.size)]
        controls = (token for token, piece in enumerate(pieces) if not piece)
        # A token that ends the reply is never text, whatever the file calls it.
        self.special_token_ids = sorted({*controls, *vocabulary.eog_tokens})
        for token in self.special_token_ids:
            pieces[token] = vocabulary.piece_of(token, special=True)
        self.tokens = pieces
        self.bos_token_id = None
        self.eos_token_id = vocabulary.eog_tokens[0] if vocabulary.eog_tokens else None
        self._vocabulary = vocabulary

    def __call__(self, text: bytes) -> list[int]:
        """Tokens of a text that must appear; none if the vocabulary cannot write it.

        llama.cpp drops bytes for which the vocabulary has no token.
        """
        decoded = text.decode("utf-8", "replace")
        for before in _BEFORE:
            token_ids = self._vocabulary.tokenize(before + decoded, special=False)
            pieces = [self.tokens[token] for token in token_ids]
            # Some vocabularies put a space in front of everything.
            for skipped in range(min(len(pieces), _MOST_BEFORE) + 1):
                if b"".join(pieces[skipped:]) == text:
                    return token_ids[skipped:]
        return []


def grammar_of(schema: str) -> str:
    """The grammar that llguidance compiles.

    Raises:
        SchemaError: it is not a schema, or cannot be followed.
    """
    if len(schema.encode("utf-8", "surrogatepass")) > MAX_SCHEMA_BYTES:
        raise SchemaError(f"the schema is longer than {MAX_SCHEMA_BYTES} bytes")
    try:
        parsed = json.loads(schema)
    except (ValueError, RecursionError):
        raise SchemaError("the schema is not JSON") from None
    if parsed is False:
        raise SchemaError("a schema that is false allows nothing")
    if parsed is True:
        schema, parsed = "{}", {}
    if not isinstance(parsed, dict):
        raise SchemaError("a schema is an object")
    _check_depth(parsed, 0)
    _check_keywords(parsed)
    try:
        return str(LLMatcher.grammar_from_json_schema(schema, overrides=_OPTIONS))
    except ValueError as error:
        raise SchemaError(_first_line(str(error))) from None


def lark_grammar_of(text: str) -> str:
    """The grammar that llguidance compiles, from its variant of Lark.

    Raises:
        SchemaError: it is no grammar, or too large.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_GRAMMAR_BYTES:
        raise SchemaError(f"the grammar is longer than {MAX_GRAMMAR_BYTES} bytes")
    try:
        return str(LLMatcher.grammar_from_lark(text))
    except ValueError as error:
        raise SchemaError(_first_line(str(error))) from None


def _fixed_texts(node: Any) -> Iterator[str]:
    """Strings that replies under this schema may have to contain literally."""
    if isinstance(node, list):
        for item in node:
            yield from _fixed_texts(item)
    elif isinstance(node, dict):
        for name, value in node.items():
            if name in _CONSTANTS:
                yield from _strings(value)
            elif name in _OF_SCHEMAS and isinstance(value, dict):
                yield from value if name == "properties" else ()
                yield from _fixed_texts(list(value.values()))
            else:
                yield from _fixed_texts(value)


def _strings(value: Any) -> Iterator[str]:
    """All strings in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        yield from value
        yield from _strings(list(value.values()))


def _check_depth(node: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise SchemaError(f"the schema is nested more than {MAX_DEPTH} deep")
    for item in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _check_depth(item, depth + 1)


def _check_keywords(node: Any) -> None:
    """Refuse keywords that llguidance accepts but does not follow."""
    if isinstance(node, list):
        for item in node:
            _check_keywords(item)
    if not isinstance(node, dict):
        return
    for name, value in node.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if name in _FORBIDDEN and not (name.startswith("exclusive") and is_number):
            raise SchemaError(_FORBIDDEN[name])
        if name in _OF_VALUES:
            continue
        if name in _OF_SCHEMAS and isinstance(value, dict):
            for inner in value.values():
                _check_keywords(inner)
        else:
            _check_keywords(value)


def _first_line(error: str) -> str:
    """The first line of llguidance's message, which names the keyword."""
    return error.strip().partition("\n")[0] or "the schema cannot be followed"
