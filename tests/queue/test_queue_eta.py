"""Time and progress foretold: learned from what ran, added up for what waits, and never made up."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queue_kit import House, run_through
from support.samples import plan, request, task

from wan22.errors import QueueFull
from wan22.queue.eta import Pace, pace_of, remaining_s, work_of
from wan22.queue.progress import FOR_EACH_OUTPUT, WEIGHTS, overall
from wan22.tasks import ModelType, Phase, Status, Task, Timings

seconds = st.floats(1e-3, 1e6)
shares = st.floats(0, 1)


def ran(total_s: float | None, *, loading_s: float | None = None, **changes: Any) -> Task:
    """A completed task that took so long."""
    timings = Timings(total_s=total_s, loading_s=loading_s)
    return task(status=Status.COMPLETED, request=request(**changes), timings=timings)


def foretold(pace: Pace, **changes: Any) -> float | None:
    """Seconds that a task would take."""
    wanted = request(**changes)
    return pace.seconds_for({pace_of(wanted, plan()): work_of(wanted, plan())})


@pytest.mark.parametrize(
    ("changes", "times"),
    [
        ({"steps": 8}, 2),
        ({"num_videos": 3}, 3),
        ({"guidance_scale": 1.0}, 0.75),
        ({"guidance_scale": 1.0, "guidance_scale_2": 1.0}, 0.5),
        ({"guidance_scale_2": None}, 1),
        ({"strength": 0.5}, 0.5),
        ({"strength": 0.01}, 0.25),
        ({"prompt": "something else", "fps": 8}, 1),
    ],
)
def test_work_grows_with_what_is_computed(changes: dict[str, Any], times: float) -> None:
    assert work_of(request(**changes), plan()) == pytest.approx(times * work_of(request(), plan()))


def test_work_is_what_is_rendered_not_what_is_delivered() -> None:
    larger = plan(render=plan().render.model_copy(update={"width": 128, "num_frames": 34}))
    assert work_of(request(), larger) == 4 * work_of(request(), plan())


def test_what_has_never_run_is_not_foretold() -> None:
    pace = Pace()
    pace.learn(ran(10.0))
    assert foretold(pace, model_type=ModelType.TI2V_5B) is None
    assert pace.seconds_for({"T2V-A14B/demo/cpu": 1.0, "unknown": 1.0}) is None
    assert pace.seconds_for({}) == 0


@given(total_s=seconds, runs=st.integers(1, 5), steps=st.integers(1, 200))
def test_a_steady_machine_is_foretold_exactly(total_s: float, runs: int, steps: int) -> None:
    pace = Pace()
    for _ in range(runs):
        pace.learn(ran(total_s))
    assert foretold(pace, steps=steps) == pytest.approx(total_s * steps / request().steps)


@given(st.lists(seconds, min_size=1, max_size=8))
def test_a_foretold_time_lies_among_those_seen(runs: list[float]) -> None:
    pace = Pace()
    for total_s in runs:
        pace.learn(ran(total_s))
    assert min(runs) * 0.999 <= (foretold(pace) or 0) <= max(runs) * 1.001


def test_loading_is_not_learned() -> None:
    pace = Pace()
    pace.learn(ran(100.0, loading_s=90.0))
    assert foretold(pace) == pytest.approx(10.0)


def test_a_run_without_timings_teaches_nothing() -> None:
    pace = Pace()
    pace.learn(ran(None))
    assert foretold(pace) is None


@given(progress=shares, begun_at=shares, run_s=seconds, expected_s=st.none() | seconds)
def test_what_remains_is_never_negative(
    progress: float, begun_at: float, run_s: float, expected_s: float | None
) -> None:
    left = remaining_s(progress, run_s=run_s, begun_at=begun_at, expected_s=expected_s)
    assert left is None or left >= 0


@given(fraction=shares, outputs=st.integers(1, 16), data=st.data())
def test_the_whole_bar_is_walked_in_the_order_of_the_run(fraction: float, outputs: int, data: st.DataObject) -> None:
    output = data.draw(st.integers(0, outputs - 1))
    order = [(phase, 0) for phase in WEIGHTS if phase not in FOR_EACH_OUTPUT]
    order += [(phase, n) for n in range(outputs) for phase in FOR_EACH_OUTPUT]
    here = data.draw(st.sampled_from(order))
    at = overall(here[0], fraction, output=here[1], outputs=outputs)
    ends = [overall(phase, 1.0, output=n, outputs=outputs) for phase, n in order]
    starts = [overall(phase, 0.0, output=n, outputs=outputs) for phase, n in order]
    assert ends[:-1] == pytest.approx(starts[1:])
    assert (starts[0], ends[-1]) == (0.0, pytest.approx(1.0))
    assert starts[order.index(here)] - 1e-9 <= at <= ends[order.index(here)] + 1e-9
    assert 0 <= output < outputs


def test_the_weights_are_of_one_bar() -> None:
    assert list(WEIGHTS) == list(Phase)
    assert sum(WEIGHTS.values()) == pytest.approx(1.0)


def test_nothing_is_foretold_before_anything_ran(house: House) -> None:
    running, waiting = house.running(), house.submit()
    assert house.queue.eta_s(running.task) is None
    assert house.queue.eta_s(waiting) is None


def taught(house: House, total_s: float) -> None:
    """Let the queue have completed a task in so many seconds."""
    done = ran(total_s)
    store = house.store
    store.write(lambda tables: tables.tasks.add(done, pace="-", work=1.0))
    house.queue.recover()


def test_a_waiting_task_ends_after_all_that_are_ahead_of_it(house: House) -> None:
    taught(house, 10.0)
    house.running()
    waiting = [house.submit(), house.submit(steps=8), house.submit(priority=1)]
    found = [house.queue.eta_s(each) for each in waiting]
    assert found == pytest.approx([10 + 10 + 10, 10 + 10 + 10 + 20, 10 + 10])


def test_what_has_ended_is_not_foretold(house: House) -> None:
    taught(house, 10.0)
    claim = house.running()
    house.queue.stop(claim)
    assert house.queue.eta_s(house.queue.get(claim.task.task_id)) is None
    assert house.queue.eta_s(claim.task) is None, "an old copy that still says it runs"


def test_one_unknown_ahead_makes_the_wait_unknown(house: House) -> None:
    taught(house, 10.0)
    house.submit(model_type=ModelType.TI2V_5B)
    assert house.queue.eta_s(house.submit()) is None


@pytest.mark.parametrize(("total_s", "retry_after_s"), [(0.001, 1), (45.0, 45), (10_000.0, 120)])
def test_a_full_queue_says_when_a_place_is_free(house: House, total_s: float, retry_after_s: int) -> None:
    taught(house, total_s)
    house.max_queued = 1
    house.start()
    house.running()
    house.submit()
    with pytest.raises(QueueFull) as caught:
        house.submit()
    assert caught.value.retry_after_s == retry_after_s


def test_every_completed_run_teaches(house: House) -> None:
    claim = house.running()
    run_through(claim)
    house.queue.complete(claim, [])
    assert house.queue.eta_s(house.submit()) is not None
    assert claim.reporter.merge(claim.task).phase is Phase.ENCODE
