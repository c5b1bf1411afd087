"""What is left of a run is foretold from its own speed and from what another one taught, at every moment of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queue_kit import StopWatch
from support.samples import plan, request, task

from wan22.queue.eta import Pace, pace_of, work_of
from wan22.queue.live import Live
from wan22.queue.progress import FOR_EACH_OUTPUT
from wan22.queue.remaining import remaining_s
from wan22.tasks import Parts, Phase, Plan, Request, Status, Task, Timings

LEARNED = Parts(denoise=8.0, decode=4.0, encode=2.0, rest=1.0)


@dataclass(frozen=True)
class Machine:
    """One on which every part takes seconds in proportion to its work."""

    speed: Parts  # seconds for a unit of work
    loading_s: float = 0.0

    def run(self, request: Request, plan: Plan, watch: StopWatch, *, tells: int) -> Iterator[Live]:
        """Where a run stands that tells so `tells` times in each phase, at those moments and between them."""
        took = Parts(*(speed * units for speed, units in zip(self.speed, work_of(request, plan), strict=True)))
        live = Live(outputs=request.num_videos)
        once = ((Phase.LOADING, self.loading_s), (Phase.TEXT_ENCODE, took.rest))
        each = tuple((phase, s / request.num_videos) for phase, s in zip(FOR_EACH_OUTPUT, took[:3], strict=True))
        for output, phases in [(0, once), *((n, each) for n in range(request.num_videos))]:
            live = Live(**{**vars(live), "output": output})
            yield live
            for phase, seconds in phases:
                live = live.begun(phase, watch.seconds)
                for told in range(1, tells + 1):
                    for _ in range(4):
                        yield live
                        watch.seconds += seconds / tells / 4
                    live = live.come_to(told / tells, watch.seconds)
                yield live

    def has_run(self, request: Request, plan: Plan) -> Task:
        """The record of such a run, completed."""
        watch = StopWatch(0.0)
        *_, last = self.run(request, plan, watch, tells=1)
        timings = {f"{phase.value}_s": seconds for phase, seconds in last.seconds(watch.seconds).items()}
        return task(
            status=Status.COMPLETED, request=request, plan=plan, timings=Timings(total_s=watch.seconds, **timings)
        )


def sized(side: int, frames: int) -> Plan:
    """A plan for square frames, two thirds of which are kept at twice the size."""
    changes = {"width": side, "height": side, "num_frames": frames, "keep": tuple(range(-(-2 * frames // 3)))}
    output = {"output_width": 2 * side, "output_height": 2 * side}
    return plan(render=plan().render.model_copy(update={**changes, **output}))


plans = st.builds(sized, st.sampled_from([16, 64, 480]), st.integers(1, 81))
requests = st.builds(request, steps=st.integers(1, 50), num_videos=st.integers(1, 4))
machines = st.builds(
    Machine,
    st.builds(Parts, st.floats(1e-9, 1e-6), st.floats(1e-9, 1e-5), st.floats(1e-9, 1e-5), st.floats(0, 10)),
    st.floats(0, 100),
)


@given(machine=machines, first=requests, first_plan=plans, second=requests, second_plan=plans, tells=st.integers(1, 8))
def test_one_run_foretells_another_of_any_size_at_every_moment(
    machine: Machine, first: Request, first_plan: Plan, second: Request, second_plan: Plan, tells: int
) -> None:
    pace = Pace()
    pace.learn(machine.has_run(first, first_plan))
    learned = pace.seconds_for(pace_of(second, second_plan), work_of(second, second_plan))
    watch = StopWatch(0.0)
    loaded = Machine(machine.speed)
    said = [
        (watch.seconds, remaining_s(live, watch.seconds, learned))
        for live in loaded.run(second, second_plan, watch, tells=tells)
    ]
    for at, found in said:
        left = watch.seconds - at
        assert found == pytest.approx(left, rel=0.2, abs=0.5)


@given(machine=machines, tells=st.integers(1, 8), slower=st.floats(0.1, 10))
def test_a_phase_that_is_far_enough_goes_on_at_its_own_speed(machine: Machine, tells: int, slower: float) -> None:
    """Whatever was learned: of the last phase nothing but its own speed counts."""
    watch, wrong = StopWatch(0.0), Parts(slower, slower, slower, slower)
    said = [
        (watch.seconds, remaining_s(live, watch.seconds, wrong))
        for live in machine.run(request(), plan(), watch, tells=tells)
        if live.phase is Phase.ENCODE and live.fraction
    ]
    assert [found for _, found in said] == pytest.approx([watch.seconds - at for at, _ in said], abs=1e-6)


def test_a_first_run_foretells_from_its_denoising_on() -> None:
    watch, machine = StopWatch(0.0), Machine(Parts(1e-6, 1e-5, 1e-5, 1.0))
    said = [
        (live.phase, live.phase_output, remaining_s(live, watch.seconds, None) is not None)
        for live in machine.run(request(num_videos=2), plan(), watch, tells=20)
        if live.fraction > 0.05 or live.phase is None
    ]
    known = {(phase, output) for phase, output, is_known in said if is_known}
    assert known == {(phase, output) for phase in FOR_EACH_OUTPUT for output in (0, 1)}


def test_a_first_run_guesses_what_comes_after_denoising_by_the_bar() -> None:
    half = Live().begun(Phase.DENOISE, 0.0).come_to(0.5, 40.0)
    assert remaining_s(half, 40.0, None) == pytest.approx(40 + 8 + 2)


def test_nothing_is_known_before_the_first_phase_unless_it_was_learned() -> None:
    assert remaining_s(Live(), 3.0, None) is None
    assert remaining_s(Live(), 0.0, LEARNED) == 15.0


def test_loading_foretells_itself_and_delays_the_rest() -> None:
    live = Live().begun(Phase.LOADING, 0.0)
    assert remaining_s(live, 7.0, LEARNED) == 15.0, "how long it takes is not known"
    assert remaining_s(live.come_to(0.25, 10.0), 12.0, LEARNED) == pytest.approx(28.0 + 15.0)


def test_a_fraction_that_is_told_again_is_no_slower_run() -> None:
    live = Live().begun(Phase.ENCODE, 0.0).come_to(0.5, 10.0)
    assert remaining_s(live.come_to(0.5, 14.0), 14.0, None) == pytest.approx(6.0)


def test_the_next_output_counts_from_its_first_phase_on() -> None:
    """Between `output` and `phase` the run still stands at the end of the output before."""
    live = Live(outputs=2).begun(Phase.ENCODE, 0.0).come_to(1.0, 1.0)
    assert [Live(**{**vars(live), "output": 1}).done(phase) for phase in FOR_EACH_OUTPUT] == [1.0, 1.0, 1.0]


@given(now=st.floats(0, 1e6), fraction=st.floats(0, 1), phase=st.sampled_from(Phase), told_at=st.floats(0, 1e6))
def test_what_remains_is_never_negative(now: float, fraction: float, phase: Phase, told_at: float) -> None:
    live = Live().begun(phase, 0.0).come_to(fraction, min(told_at, now))
    left = remaining_s(live, now, LEARNED)
    assert left is not None
    assert left >= 0
