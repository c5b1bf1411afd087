"""Which alerts new facts raise and clear. Pure: what stood before goes in, what stands now comes out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from wan22.monitoring.facts import Facts
from wan22.monitoring.findings import Finding
from wan22.monitoring.rules import Rule

ABSENT_S = 600.0
"""How long an open alert waits for a figure before it is cleared: its GPU may be gone, or its rule."""

Key = tuple[str, str]
"""Names of a rule and of a subject."""


@dataclass(frozen=True)
class Standing:
    """How a rule stands for a subject."""

    is_open: bool
    told_s: float  # when there last was a figure, by the clock of the facts
    turning_since_s: float | None = None  # since when all figures were such that this changes if it holds


@dataclass(frozen=True)
class Change:
    """An alert to raise, or to clear, and how it stands after that."""

    key: Key
    standing: Standing
    rule: Rule | None = None  # None: of none that is known any more
    finding: Finding | None = None  # None: there was no figure for long


@dataclass(frozen=True)
class Verdict:
    """`standings` holds where nothing is to be done; a change holds its own, for when it is done."""

    standings: Mapping[Key, Standing]
    changes: tuple[Change, ...]


def judge(rules: Iterable[Rule], facts: Facts, before: Mapping[Key, Standing]) -> Verdict:
    """What follows from the facts for each rule and subject."""
    standings: dict[Key, Standing] = {}
    changes: list[Change] = []
    for rule in rules:
        for finding in rule.find(facts):
            key = rule.name, finding.subject
            now = _moved(rule, finding.figure, facts.clock_s, before.get(key))
            if _has_held(rule, now, facts.clock_s):
                changes.append(Change(key, Standing(not now.is_open, facts.clock_s), rule, finding))
            standings[key] = now
    for key in before.keys() - standings.keys():
        if before[key].is_open:
            standings[key] = _unheard(before[key], facts)
            if facts.clock_s - standings[key].told_s >= ABSENT_S:
                changes.append(Change(key, Standing(False, facts.clock_s)))
    return Verdict(standings, tuple(changes))


def _moved(rule: Rule, figure: float, clock_s: float, before: Standing | None) -> Standing:
    is_open = before is not None and before.is_open
    turns = rule.is_mended_by(figure) if is_open else rule.is_broken_by(figure)
    since = before.turning_since_s if before else None
    return Standing(is_open, clock_s, (clock_s if since is None else since) if turns else None)


def _has_held(rule: Rule, standing: Standing, clock_s: float) -> bool:
    return standing.turning_since_s is not None and clock_s - standing.turning_since_s >= rule.hold_s


def _unheard(before: Standing, facts: Facts) -> Standing:
    """Without a figure; while there are no readings at all, that says nothing of the subject."""
    return replace(before, told_s=before.told_s if facts.readings else facts.clock_s, turning_since_s=None)
