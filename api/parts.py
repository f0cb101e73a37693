"""What the resources of one API process are made of."""

from dataclasses import dataclass

from api.access import Access
from api.feed import EventFeed
from api.health import Readiness
from api.intake import Intake
from api.openai.models import Models
from api.ops.history import History
from api.places import Places
from shared.config import Settings
from shared.conversations import Conversations
from shared.events import EventLog
from shared.jobs import Jobs
from shared.queue import Queue
from shared.tasks import Background
from shared.turns import Turns
from shared.workers import Workers


@dataclass(frozen=True, slots=True)
class Parts:
    """One of each, on one connection pool."""

    settings: Settings
    turns: Turns
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
