"""References to items that are stored, in the place of the items themselves."""

from typing import Any, Final

from api.http.errors import Problem, field_problem
from api.openai.ids import RESPONSE, job_id_of_item
from api.openai.objects import input_items_of
from api.openai.output_items import Item
from api.openai.stored import StoredResponses

_REFERENCE: Final = "item_reference"
_MOST: Final = 1000


class References:
    """Looks up the items of stored responses: those of their inputs and of their outputs."""

    def __init__(self, responses: StoredResponses) -> None:
        self._responses = responses

    async def resolved(self, body: dict[str, Any], owner_id: str) -> dict[str, Any]:
        """A body whose `input` has the items that it refers to.

        Raises:
            Problem: 422, this is not the id of an item · 404, there is no such item.
        """
        items = body.get("input")
        if not has_references(body) or not isinstance(items, list):
            return body
        known: dict[str, Item] = {}
        resolved = []
        for index, item in enumerate(items):
            if _is_reference(item):
                item = await self._item(item.get("id"), f"input.{index}.id", owner_id, known)
            resolved.append(item)
        return body | {"input": resolved}

    async def _item(self, name: object, field: str, owner_id: str, known: dict[str, Item]) -> Item:
        job_id = job_id_of_item(name) if isinstance(name, str) else None
        if not isinstance(name, str) or job_id is None:
            raise field_problem(field, "is not the id of an item")
        if name not in known:
            known |= await self._items(job_id, owner_id)
        if name not in known:
            raise Problem(404, "not_found", f"{field}: no stored response has this item")
        return known[name]

    async def _items(self, job_id: str, owner_id: str) -> dict[str, Item]:
        """All items of a response, by their ids; none if there is no such response."""
        try:
            state = await self._responses.find(f"{RESPONSE}{job_id}", owner_id)
        except Problem:
            return {}
        output: list[Item] = (await self._responses.to_wire(state))["output"]
        return {item["id"]: item for item in (*input_items_of(state), *output)}


def has_references(body: dict[str, Any]) -> bool:
    """Whether an input refers to items; one that is too long will be refused anyway."""
    items = body.get("input")
    return isinstance(items, list) and len(items) <= _MOST and any(map(_is_reference, items))


def _is_reference(item: object) -> bool:
    return isinstance(item, dict) and item.get("type") == _REFERENCE
