"""Replies that follow a JSON schema, by llama.cpp's grammars.

Schemas come from clients. They are capped before anything parses them: a small schema can stand for
a huge grammar, and llama.cpp answers a bad one with NULL, which crashes whoever uses it.
"""

import ctypes
import json
import re
from typing import Any, Final

import llama_cpp
from llama_cpp.llama_grammar import json_schema_to_gbnf

from worker.engine.interface import UnusableRequest
from worker.engine.vocabulary import ModelVocabulary

MAX_SCHEMA_BYTES: Final = 16_384
MAX_DEPTH: Final = 16
MAX_REPETITION: Final = 256
MAX_GRAMMAR_BYTES: Final = 65_536

_COUNTS: Final = ("minItems", "maxItems", "minLength", "maxLength")
_REFUSED: Final = ("$ref", "$defs", "definitions", "pattern")
"""References may be circular, and a pattern is a program of its own."""


class SchemaError(UnusableRequest):
    """A JSON schema cannot be followed."""


class Grammar:
    """What may come next in one reply.

    Args:
        schema: JSON text of a JSON schema.

    Raises:
        SchemaError: it is no schema, too large, or more than can be followed.
    """

    def __init__(self, vocabulary: ModelVocabulary, schema: str) -> None:
        text = grammar_of(schema).encode()
        self._sampler = llama_cpp.llama_sampler_init_grammar(vocabulary.handle, text, b"root")
        if not self._sampler:
            raise SchemaError("the schema gives a grammar that llama.cpp cannot use")
        self._one = llama_cpp.llama_token_data(0, 0.0, 0.0)
        self._array = llama_cpp.llama_token_data_array(ctypes.pointer(self._one), 1, -1, False)

    def allows(self, token: int) -> bool:
        """Whether a token may come next."""
        self._one.id, self._one.logit = token, 0.0
        self.restrict(self._array)
        return bool(self._one.logit > float("-inf"))

    def restrict(self, candidates: Any) -> None:
        """Rule out what may not come next."""
        llama_cpp.llama_sampler_apply(self._sampler, ctypes.byref(candidates))

    def accept(self, token: int) -> None:
        """A token was drawn."""
        llama_cpp.llama_sampler_accept(self._sampler, token)

    def close(self) -> None:
        """Free it."""
        llama_cpp.llama_sampler_free(self._sampler)


def grammar_of(schema: str) -> str:
    """The grammar (GBNF) of a schema.

    Raises:
        SchemaError: see `Grammar`.
    """
    if len(schema.encode()) > MAX_SCHEMA_BYTES:
        raise SchemaError(f"the schema is longer than {MAX_SCHEMA_BYTES} bytes")
    try:
        parsed = json.loads(schema)
    except (ValueError, RecursionError):
        raise SchemaError("the schema is not JSON") from None
    _check(parsed, 0)
    try:
        text = str(json_schema_to_gbnf(schema))
    except Exception as error:  # a stranger's schema in somebody else's converter
        raise SchemaError(f"the schema cannot be followed: {error!r}") from None
    if len(text) > MAX_GRAMMAR_BYTES:
        raise SchemaError("the schema gives too large a grammar")
    return text


def _check(node: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise SchemaError(f"the schema is nested more than {MAX_DEPTH} deep")
    if isinstance(node, list):
        for item in node:
            _check(item, depth + 1)
    if not isinstance(node, dict):
        return
    for name, value in node.items():
        if name in _REFUSED:
            raise SchemaError(f"{name} is not supported")
        if name in _COUNTS and not _is_count(value):
            raise SchemaError(f"{name} must be an integer from 0 to {MAX_REPETITION}")
        _check(value, depth + 1)


def _is_count(value: Any) -> bool:
    # A property may have such a name: then its value is a schema.
    if isinstance(value, dict):
        return True
    return re.fullmatch("[0-9]{1,4}", json.dumps(value)) is not None and value <= MAX_REPETITION
