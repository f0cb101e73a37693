"""What the resources of one API process are made of."""

from dataclasses import dataclass

from api.http.access import Access
from api.live.feed import EventFeed
from api.live.intake import Intake
from api.live.places import Places
from api.openai.models import Models
from api.ops.health import Readiness
from api.ops.history import History
from shared.config import Settings
from shared.process.tasks import Background
from shared.store.conversations import Conversations
from shared.store.event_log import EventLog
from shared.store.jobs import Jobs
from shared.store.queue import Queue
from shared.store.submissions import Submissions
from shared.store.workers import Workers


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """One of each, on one connection pool."""

    settings: Settings
    turns: Submissions
    intake: Intake
    jobs: Jobs
    conversations: Conversations
    events: EventLog
    feed: EventFeed
    places: Places
    readiness: Readiness
    access: Access
    models: Models
    workers: Workers
    queue: Queue
    history: History
    background: Background
