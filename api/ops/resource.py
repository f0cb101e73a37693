"""`/ops` and the figures that it shows."""

import dataclasses
from typing import Any

import falcon.asgi

from api.http.access import Access
from api.http.errors import Problem
from api.http.preferences import wants_html
from api.live.headroom import Headroom
from api.ops.figures import minutes, model_rows, worker_row
from api.ops.history import SampleHistory
from api.ops.notices import Facts, notices
from api.web.pages import HtmlPage


class OpsPage:
    """The page itself; where there are keys it asks for one, because browsers do not send it."""

    def __init__(self, page: HtmlPage, access: Access) -> None:
        self._page = page
        self._access = access

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        try:
            self._access.check_operator(self._access.identify(req))
        except Problem as problem:
            if problem.status != 401 or not wants_html(req):
                raise
            resp.status = problem.status
            for name, value in problem.headers.items():
                resp.set_header(name, value)
        self._page.write(resp)


class OpsData:
    """The page's figures."""

    def __init__(
        self, history: SampleHistory, headroom: Headroom, first_token_alert_s: float
    ) -> None:
        self._history = history
        self._headroom = headroom
        self._first_token_alert_s = first_token_alert_s

    async def on_get(self, _req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        resp.set_header("Cache-Control", "no-store")
        resp.media = describe(self._history) | {"notices": self._notices()}

    def _notices(self) -> list[dict[str, Any]]:
        if not self._history.samples:
            return []
        facts = Facts(
            samples=list(self._history.samples),
            reports=self._history.reports,
            lack=self._headroom.lack,
            memory_share=self._headroom.memory_share,
            first_token_alert_s=self._first_token_alert_s,
        )
        return [dataclasses.asdict(notice) for notice in notices(facts)]


def describe(history: SampleHistory) -> dict[str, Any]:
    """The figures of the last minutes, as JSON."""
    return {
        "period_s": history.period_s,
        "points": list(history.points),
        "minutes": minutes(list(history.samples)) if history.samples else None,
        "models": model_rows(history.reports, history.recent),
        "workers": [
            worker_row(name, report, history.recent)
            for name, report in sorted(history.reports.items())
        ],
    }
