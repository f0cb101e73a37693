"""`/ops/usage`: turns and tokens by key, model and day."""

import falcon.asgi

from api.ops.turns import OwnerNames
from api.ops.usage_objects import usage_object
from shared.store.usage import Usage


class UsageResource:
    """What was used within a week."""

    def __init__(self, usage: Usage, names: OwnerNames) -> None:
        self._usage = usage
        self._names = names

    async def on_get(self, _req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        names = self._names.by_owner()
        resp.set_header("Cache-Control", "no-store")
        resp.media = usage_object(await self._usage.week(), names)
