"""Which task runs next and what became of each, and the events that tell of it.

`queue` has the verbs; `submission`, `ending` and `recovery` are what they do inside a transaction. `claim` and
`reporter` belong to one run, `feed` and `subscription` to the events, `live`, `progress`, `eta` and `remaining`
are the arithmetic.
Running a task is left to the worker, keeping rows to the store.
"""

from wan22.queue.claim import Claim
from wan22.queue.feed import Feed
from wan22.queue.page import Page
from wan22.queue.queue import Queue
from wan22.queue.reporter import RunReporter
from wan22.queue.subscription import Subscription

__all__ = ["Claim", "Feed", "Page", "Queue", "RunReporter", "Subscription"]
