"""Frozen values that travel through the whole server: what was asked, what became of it, what happened on the way.

`request` is what a caller said and what the server understood; `plan` how it will be done; `parts` how much that is;
`forecast` what it will take;
`task` the record; `run` how it went, in short; `status` the allowed moves; `event` and `artifact` what a run gives out;
`alert` what a person should hear of;
`reporter` how a run speaks while it goes on.
Nothing here reads a file, a clock or the environment.
"""

from wan22.tasks.alert import Alert, Raised, Severity
from wan22.tasks.artifact import Artifact, name_to_keep
from wan22.tasks.event import Event, EventType
from wan22.tasks.forecast import Forecast, PhaseForecast
from wan22.tasks.parts import Parts, Seen
from wan22.tasks.plan import Choice, Plan, Render
from wan22.tasks.reporter import Reporter, Silent
from wan22.tasks.request import Draft, ImageRef, LoraUse, ModelType, Request
from wan22.tasks.run import Run
from wan22.tasks.status import MOVES, Phase, Status, may_move
from wan22.tasks.task import Failure, Passes, Task, Timings

__all__ = [
    "MOVES",
    "Alert",
    "Artifact",
    "Choice",
    "Draft",
    "Event",
    "EventType",
    "Failure",
    "Forecast",
    "ImageRef",
    "LoraUse",
    "ModelType",
    "Parts",
    "Passes",
    "Phase",
    "PhaseForecast",
    "Plan",
    "Raised",
    "Render",
    "Reporter",
    "Request",
    "Run",
    "Seen",
    "Severity",
    "Silent",
    "Status",
    "Task",
    "Timings",
    "may_move",
    "name_to_keep",
]
