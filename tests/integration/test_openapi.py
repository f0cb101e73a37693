"""What `/openapi.json` describes is what the API does: schemathesis tries every operation."""

import asyncio
import uuid
from typing import Any

import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from schemathesis.checks import CheckFunction
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance

from shared.config import Settings
from tests.scripted import ScriptedEngine
from tests.servers import running_stack

EXAMPLES = 30


def try_every_operation(address: str) -> int:
    """Call each operation with generated requests and check its answers; returns how many."""
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    for operation in operations:

        @given(case=operation.as_strategy())
        @hypothesis_settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        def conforms(case: schemathesis.Case[Any]) -> None:
            if "Idempotency-Key" in (case.headers or {}):
                # The same one with another body is refused, and a description cannot say that.
                case.headers["Idempotency-Key"] = uuid.uuid4().hex
            # OpenAI's bodies have rules across fields, which no schema of theirs tells either.
            is_strict = not case.path.startswith("/v1/")
            excluded: list[CheckFunction] = [] if is_strict else [positive_data_acceptance]
            case.call_and_validate(timeout=20, excluded_checks=excluded)

        conforms()
    return len(operations)


async def test_every_operation_answers_as_described(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine(lambda _: "ok")) as stack:
        address = str(stack.client.base_url).rstrip("/")
        # All but the document's own address, which schemathesis leaves out.
        assert await asyncio.to_thread(try_every_operation, address) == 32
