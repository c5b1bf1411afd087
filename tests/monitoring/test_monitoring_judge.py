"""Whatever the figures do, an alert is raised once before it is cleared once, and not for what swings in the band."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import hypothesis.strategies as st
import pytest
from alerts_kit import NOON, RULES
from hypothesis import given

from wan22.monitoring.facts import Facts
from wan22.monitoring.findings import Finding
from wan22.monitoring.judge import ABSENT_S, Key, Standing, judge
from wan22.monitoring.reading import Reading
from wan22.monitoring.rules import Rule, rules_of
from wan22.settings import AlertsSettings

STEP_S = 5.0
BY_NAME = st.sampled_from(sorted(RULES))
HISTORIES = st.lists(st.none() | st.floats(0, 1), max_size=60)


def changes_of(rule: Rule, figures: list[float | None]) -> list[tuple[int, bool]]:
    """At which of the looks an alert was raised or cleared; there is one each STEP_S, without a figure for None."""
    standings: dict[Key, Standing] = {}
    found = []
    for number, figure in enumerate(figures):
        said = partial(_said, figure)
        now = Facts(NOON, number * STEP_S, readings=(Reading(at=NOON),))
        verdict = judge([replace(rule, find=said)], now, standings)
        standings = dict(verdict.standings)
        for change in verdict.changes:
            standings[change.key] = change.standing
            found.append((number, change.standing.is_open))
    return found


def _said(figure: float | None, _: Facts) -> Iterator[Finding]:
    if figure is not None:
        yield Finding("it", figure, "")


def placed(rule: Rule, share: float) -> float:
    """0 is far on the good side of the band, 1 far on the bad one; the band is the middle third."""
    return rule.clear_at + (3 * share - 1) * (rule.raise_at - rule.clear_at)


@given(BY_NAME, st.lists(st.floats(0.34, 1), min_size=1, max_size=60))
def test_a_figure_that_swings_between_the_thresholds_is_told_at_most_once(name: str, shares: list[float]) -> None:
    """It may touch or cross the upper one as often as it likes, as long as it does not come back to the lower."""
    rule = RULES[name]
    figures = [placed(rule, share) for share in shares]
    assert not any(map(rule.is_mended_by, figures))
    assert [raised for _, raised in changes_of(rule, list(figures))] in ([], [True])


@given(BY_NAME, HISTORIES)
def test_each_is_raised_and_cleared_by_turns_after_it_has_held(name: str, shares: list[float | None]) -> None:
    rule = RULES[name]
    figures = [None if share is None else placed(rule, share) for share in shares]
    changes = changes_of(rule, figures)
    assert [raised for _, raised in changes] == [n % 2 == 0 for n in range(len(changes))]
    for number, raised in changes:
        held = figures[max(0, number - int(rule.hold_s // STEP_S)) : number + 1]
        turns = rule.is_broken_by if raised else rule.is_mended_by
        assert all(figure is None or turns(figure) for figure in held)


@given(st.floats(1e-6, 1), st.integers(0, 2**60), st.floats(1.001, 1000), st.floats(1e-6, 150))
def test_no_settings_join_the_two_thresholds(share: float, size: int, ratio: float, degrees: float) -> None:
    """Or what raises an alert would clear it."""
    fractions = dict.fromkeys(("vram_fraction", "ram_fraction", "throttled_fraction", "failure_fraction"), share)
    sizes = {"swap_bytes": max(size, 1), "disk_free_bytes": size}
    at = AlertsSettings.model_validate({**fractions, **sizes, "step_time_ratio": ratio, "temperature_c": degrees})
    for rule in rules_of(at):
        assert rule.is_broken_by(rule.raise_at)
        assert not rule.is_mended_by(rule.raise_at)
        assert rule.is_mended_by(rule.clear_at)
        assert not rule.is_broken_by(rule.clear_at)


@pytest.mark.parametrize("readings", [(), (Reading(at=NOON),)])
def test_what_is_no_longer_told_of_is_cleared_in_time(readings: tuple[Reading, ...]) -> None:
    """A card that was taken out, or a rule of another version; but not while nothing is told at all."""
    standings = {("of another version", "it"): Standing(True, 0.0)}
    soon = judge([], Facts(NOON, ABSENT_S - 1, readings), standings)
    late = judge([], Facts(NOON, ABSENT_S, readings), standings)
    assert soon.changes == ()
    assert [change.standing.is_open for change in late.changes] == ([False] if readings else [])
