"""In which order waiting tasks are claimed, and which of them together. Pure.

Higher priority first. Of equal ones the first whose model is loaded, with those behind it that may share its run; where
none is, the one that came first. What came later passes what came earlier only from a few places behind, so that each
task is passed by `max_passed` others at most, whatever else is sent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from wan22.store import Waiting
from wan22.tasks import Parts

MOST_AT_ONCE = 16
"""Tasks that a turn has at most, whatever their plans say."""


@dataclass(frozen=True)
class Order:
    """The rule, while these models are loaded."""

    max_passed: int
    loaded: frozenset[str]  # by `tasks.sharing.model_name`

    @property
    def enough(self) -> int:
        """Of the waiting tasks, in order of priority and arrival, so many decide who is next."""
        return self.max_passed + 1 + MOST_AT_ONCE

    def turns(self, waiting: Sequence[Waiting]) -> Iterator[list[Waiting]]:
        """The tasks of one claim after the other, if none is sent or cancelled; `waiting` by priority and arrival.

        A model that is not loaded takes the place of those that are.
        """
        loaded = self.loaded
        for _, equals in groupby(waiting, key=lambda one: one.priority):
            rest = deque(equals)
            while rest:
                turn = self._turn(rest, loaded)
                if turn[0].model not in loaded:
                    loaded = frozenset({turn[0].model})
                yield turn

    def next_turn(self, waiting: Sequence[Waiting]) -> list[Waiting]:
        """The tasks of the next claim, empty where none waits."""
        return next(self.turns(waiting), [])

    def positions(self, waiting: Sequence[Waiting]) -> dict[str, int]:
        """The place of each waiting task, from 1, by its id."""
        ids = (one.task_id for turn in self.turns(waiting) for one in turn)
        return {task_id: place for place, task_id in enumerate(ids, start=1)}

    def until(self, waiting: Sequence[Waiting], task_id: str) -> list[Waiting]:
        """What is claimed before the task or with it, itself included; empty if it does not wait."""
        ahead: list[Waiting] = []
        for turn in self.turns(waiting):
            ahead += turn
            if any(one.task_id == task_id for one in turn):
                return ahead
        return []

    def _turn(self, rest: deque[Waiting], loaded: frozenset[str]) -> list[Waiting]:
        """Take the next turn out of what waits."""
        leader = next((one for one in self._may_pass(rest) if one.model in loaded), rest[0])
        turn, passed = [leader], list[Waiting]()
        is_behind = False  # of the leader
        while rest and not (is_behind and len(turn) >= min(leader.at_once, MOST_AT_ONCE)):
            if passed and rest[0].seq > passed[0].seq + self.max_passed:
                break
            one = rest.popleft()
            if one is leader:
                is_behind = True
            elif is_behind and one.shares is not None and one.shares == leader.shares:
                turn.append(one)
            else:
                passed.append(one)
        rest.extendleft(reversed(passed))
        return turn

    def _may_pass(self, rest: deque[Waiting]) -> Iterator[Waiting]:
        """The first, and those that may go before it."""
        for one in rest:
            if one.seq > rest[0].seq + self.max_passed:
                return
            yield one


def work_by_pace(ahead: Sequence[Waiting]) -> dict[str, Parts]:
    """The work of all those tasks, of each pace together."""
    total: dict[str, Parts] = {}
    for one in ahead:
        so_far = total.get(one.pace, Parts(0.0, 0.0, 0.0, 0.0))
        total[one.pace] = Parts(*(a + b for a, b in zip(so_far, one.work, strict=True)))
    return total
