"""Optimizations by HTTP: how they stand, and turning them on and off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError

from wan22.api.performance_views import Optimizations, Optimized, Outcome, OutcomeView, view_report
from wan22.api.services import Services
from wan22.api.wording import field_errors, nearest_word, unknown
from wan22.errors import FieldError, InvalidRequest
from wan22.orchestrator.optimizations.advisor import Report
from wan22.orchestrator.optimizations.registry import BY_ID


class Wanted(BaseModel):
    """What a call to apply optimizations asks for."""

    model_config = ConfigDict(extra="forbid")

    optimizations: list[str] | None = Field(default=None, description="By id; all if left out.")
    dry_run: StrictBool = Field(default=False, description="Say what would be done, and do nothing.")
    undo: StrictBool = Field(default=False, description="Turn them off, until the server ends.")


def optimizations(services: Services) -> Optimizations:
    """How every one stands."""
    return Optimizations(optimizations=tuple(view_report(report) for report in services.advisor.reports()))


def asked_for(fields: Mapping[str, Any]) -> Wanted:
    """What a body says. Raises InvalidRequest with one entry for each wrong field."""
    known = tuple(Wanted.model_fields)
    wrong = [unknown(name, fields[name], known=known, nearest=nearest_word(name, known)) for name in _strange(fields)]
    try:
        wanted = Wanted.model_validate({name: value for name, value in fields.items() if name in known})
    except ValidationError as error:
        raise InvalidRequest([*wrong, *field_errors(error.errors(include_url=False), _dotted)]) from None
    if wrong := [*wrong, *map(_no_such, (one for one in wanted.optimizations or () if one not in BY_ID))]:
        raise InvalidRequest(wrong)
    return wanted


async def optimize(services: Services, wanted: Wanted) -> Optimized:
    """Turn on or off what can be, and measure what each gains. Raises InvalidRequest, and WrongState in a task."""
    before = {report.optimization.id: report for report in await services.threads.call(services.advisor.reports)}
    named = [one for one in before if wanted.optimizations is None or one in wanted.optimizations]
    outcomes = {one: _outcome(before[one], undo=wanted.undo) for one in named}
    if not wanted.dry_run:
        changed = [one for one, outcome in outcomes.items() if outcome in ("applied", "undone")]
        await services.between(partial(_tune, services, changed, named, on=not wanted.undo))
    after = {report.optimization.id: report for report in await services.threads.call(services.advisor.reports)}
    shown = tuple(
        OutcomeView(**view_report(after[one]).model_dump(), outcome=outcome) for one, outcome in outcomes.items()
    )
    return Optimized(dry_run=wanted.dry_run, optimizations=shown)


def _tune(services: Services, changed: Sequence[str], measured: Sequence[str], *, on: bool) -> None:
    for one in changed:
        services.tuning.turn(one, on=on)
    services.tuning.prepare()
    services.advisor.measure(measured)


def _outcome(report: Report, *, undo: bool) -> Outcome:
    state = report.standing.state
    if state == "not_applicable":
        return "not_applicable"
    if not undo:
        return "already_active" if state == "active" else "applied"
    if not report.optimization.can_turn_off:
        return "always_on"
    return "undone" if state == "active" else "already_off"


def _strange(fields: Mapping[str, Any]) -> list[str]:
    return [name for name in list(fields)[:50] if name not in Wanted.model_fields]


def _dotted(where: tuple[Any, ...]) -> str:
    return ".".join(map(str, where))


def _no_such(name: str) -> FieldError:
    return unknown("optimizations", name, known=tuple(BY_ID), nearest=nearest_word(name, tuple(BY_ID)))
