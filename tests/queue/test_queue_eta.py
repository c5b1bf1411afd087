"""Time and progress foretold: learned from what ran, added up for what waits, and never made up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queue_kit import House, run_through
from support.samples import WORK, plan, request, task

from wan22.errors import QueueFull
from wan22.queue.eta import KEPT, Pace, pace_of, speed_of, work_of
from wan22.queue.live import Live
from wan22.queue.progress import FOR_EACH_OUTPUT, WEIGHTS
from wan22.tasks import ModelType, Parts, Phase, Plan, Status, Task, Timings

seconds = st.floats(1e-3, 1e6)
shares = st.floats(0, 1)


def ran(took: Parts, *, loading_s: float = 0.0, **changes: Any) -> Task:
    """A completed task whose parts took so long."""
    timings = Timings(
        total_s=sum(took) + loading_s,
        loading_s=loading_s,
        denoise_s=took.denoise,
        decode_s=took.decode,
        encode_s=took.encode,
    )
    return task(status=Status.COMPLETED, request=request(**changes), timings=timings)


def foretold(pace: Pace, **changes: Any) -> Parts | None:
    """Seconds that the parts of a task would take."""
    wanted = request(**changes)
    return pace.seconds_for(pace_of(wanted, plan()), work_of(wanted, plan()))


@pytest.mark.parametrize(
    ("changes", "times"),
    [
        ({"steps": 8}, (2, 1)),
        ({"num_videos": 3}, (3, 3)),
        ({"guidance_scale": 1.0}, (0.75, 1)),
        ({"guidance_scale": 1.0, "guidance_scale_2": 1.0}, (0.5, 1)),
        ({"guidance_scale_2": None}, (1, 1)),
        ({"strength": 0.5, "flow_shift": 1.0}, (0.5, 1)),
        ({"strength": 0.75, "flow_shift": 3.0}, (0.5, 1)),
        ({"strength": 0.01}, (0.25, 1)),
        ({"prompt": "something else", "fps": 8}, (1, 1)),
    ],
)
def test_work_grows_with_what_is_computed(changes: dict[str, Any], times: tuple[float, float]) -> None:
    usual, found = work_of(request(), plan()), work_of(request(**changes), plan())
    more = [part / before for part, before in zip(found, usual, strict=True)]
    assert more == pytest.approx([times[0], times[1], times[1], 1])


@pytest.mark.parametrize("changes", [{"step_cache": (0.1, 0.1)}, {"compiled": True}, {"attention": "sage"}])
def test_seconds_of_another_way_foretell_nothing(changes: dict[str, Any]) -> None:
    assert pace_of(request(), plan(**changes)).startswith(f"{pace_of(request(), plan())}/")


def test_each_part_counts_the_pixels_that_it_sees() -> None:
    usual = plan().render
    larger = plan(render=usual.model_copy(update={"width": 128, "num_frames": 34, "output_height": 144}))
    before, after = work_of(request(), plan()), work_of(request(), larger)
    assert after == Parts(4 * before.denoise, 4 * before.decode, 3 * before.encode, 1)
    assert before.encode == usual.output_width * usual.output_height * len(usual.keep)


def test_what_has_never_run_is_not_foretold() -> None:
    pace = Pace()
    pace.learn(ran(Parts(1.0, 2.0, 3.0, 4.0)))
    assert foretold(pace, model_type=ModelType.TI2V_5B) is None
    assert pace.total_s({pace_of(request(), plan()): WORK, "unknown": WORK}) is None
    assert pace.total_s({}) == 0


@given(took=st.builds(Parts, seconds, seconds, seconds, seconds), runs=st.integers(1, 5), steps=st.integers(1, 200))
def test_a_steady_machine_is_foretold_exactly(took: Parts, runs: int, steps: int) -> None:
    pace = Pace()
    for _ in range(runs):
        pace.learn(ran(took, loading_s=90.0))
    wanted = took._replace(denoise=took.denoise * steps / request().steps)
    assert foretold(pace, steps=steps) == pytest.approx(wanted, rel=1e-3)


@given(st.lists(st.tuples(st.floats(1, 1e9), st.floats(1e-6, 1e3)), min_size=1, max_size=8))
def test_a_learned_speed_lies_among_those_seen(runs: list[tuple[float, float]]) -> None:
    works, speeds = zip(*runs, strict=True)
    took = [work * speed for work, speed in runs]
    assert min(speeds) * 0.999 <= speed_of(works, took) <= max(speeds) * 1.001


@given(st.integers(1, 20))
def test_tiny_runs_change_nothing_that_a_large_one_has_shown(tiny_runs: int) -> None:
    """Each is 100 times slower for its work, which is a thousandth of the large one's."""
    speed = speed_of([1_000_000.0] + [1_000.0] * tiny_runs, [100.0] + [10.0] * tiny_runs)
    assert speed * 1_000_000 == pytest.approx(100)


@given(st.floats(1.5, 100), st.integers(0, 8))
def test_a_run_that_something_disturbed_changes_nothing(times: float, at: int) -> None:
    took = [10.0] * 9
    took[at] *= times
    assert speed_of([1.0] * 9, took) == 10.0


def test_a_machine_that_has_become_slower_shows_after_some_runs() -> None:
    pace = Pace()
    for seconds in [10.0] * KEPT + [20.0] * (KEPT // 2 + 1):
        pace.learn(ran(Parts(seconds, 1.0, 1.0, 1.0)))
    found = foretold(pace)
    assert found is not None
    assert found.denoise == pytest.approx(20.0)


REAL = {"variant": "dev", "precision": {"transformer": "bf16", "text_encoder": "bf16", "vae": "bf16"}}


def sized(width: int, height: int, frames: int) -> Plan:
    """Of real weights."""
    size = {"width": width, "height": height, "num_frames": frames}
    return plan(**REAL, render=plan().render.model_copy(update=size))


def test_sizes_that_never_ran_are_foretold_by_what_others_took_for_their_operations() -> None:
    """81 frames of 720p take 9 times the operations of 17, by 4 times the tokens: attention grows by their square."""
    pace, short, long = Pace(), sized(1280, 720, 17), sized(1280, 720, 81)
    pace.learn(ran(Parts(100.0, 5.0, 1.0, 1.0)).with_(plan=short))
    same, other = pace.foretell(request(), short), pace.foretell(request(), long)
    assert same is not None and same == (Parts(100.0, 5.0, 1.0, 1.0), True)  # noqa: PT018 - one promise
    assert other is not None and not other.is_same_size  # noqa: PT018 - one promise
    assert 750 < other.seconds.denoise < 950
    assert other.seconds.decode == pytest.approx(5 * 632.6 / 134.5, rel=0.02)


def test_runs_of_the_same_size_come_before_all_others() -> None:
    pace, short, long = Pace(), sized(832, 480, 17), sized(1280, 720, 81)
    pace.learn(ran(Parts(1.0, 1.0, 1.0, 1.0)).with_(plan=short))
    pace.learn(ran(Parts(9_000.0, 1.0, 1.0, 1.0)).with_(plan=long))
    found = pace.foretell(request(), short)
    assert found is not None
    assert found.seconds.denoise == pytest.approx(1.0)


def test_another_way_or_precision_is_another_pace() -> None:
    paces = {
        pace_of(request(), plan(**{**REAL, **changes}))
        for changes in ({}, {"offload": "blocks"}, {"precision": {**REAL["precision"], "transformer": "int8"}})
    }
    assert len(paces) == 3


@pytest.mark.parametrize("gap", ["total_s", "denoise_s", "decode_s", "encode_s"])
def test_a_run_with_gaps_in_its_timings_teaches_nothing(gap: str) -> None:
    pace, whole = Pace(), ran(Parts(1.0, 2.0, 3.0, 4.0))
    pace.learn(whole.with_(timings=whole.timings.model_copy(update={gap: None})))
    assert foretold(pace) is None


@given(fraction=shares, outputs=st.integers(1, 16), at_once=st.integers(1, 16))
def test_the_whole_bar_is_walked_in_the_order_of_the_run(fraction: float, outputs: int, at_once: int) -> None:
    """Each phase begins where the one before it ended, whether outputs are denoised one by one or several at once."""
    order: list[tuple[Phase, int]] = [(phase, 0) for phase in WEIGHTS if phase not in FOR_EACH_OUTPUT]
    for first in range(0, outputs, at_once):
        order.append((Phase.DENOISE, first))
        batch = range(first, min(first + at_once, outputs))
        order += [(phase, n) for n in batch for phase in FOR_EACH_OUTPUT[1:]]
    live, reached = Live(outputs=outputs, at_once=at_once), 0.0
    for phase, output in order:
        live = replace(live, output=output).begun(phase, 0.0)
        assert live.progress == pytest.approx(reached)
        part_way = live.come_to(fraction, 0.0).progress
        live = live.come_to(1.0, 0.0)
        assert reached - 1e-9 <= part_way <= live.progress
        reached = live.progress
    assert reached == pytest.approx(1.0)


def test_the_weights_are_of_one_bar() -> None:
    assert list(WEIGHTS) == list(Phase)
    assert sum(WEIGHTS.values()) == pytest.approx(1.0)


def test_nothing_is_foretold_before_anything_ran(house: House) -> None:
    running, waiting = house.running(), house.submit()
    assert house.queue.eta_s(running.task) is None
    assert house.queue.eta_s(waiting) is None


def taught(house: House, total_s: float) -> None:
    """Let the queue have completed a task in so many seconds, half of them denoising."""
    done = ran(Parts(*(share * total_s for share in (0.5, 0.2, 0.2, 0.1))))
    house.store.write(lambda tables: tables.tasks.add(done, pace="-", work=WORK))
    house.queue.recover()


def test_a_waiting_task_ends_after_all_that_are_ahead_of_it(house: House) -> None:
    taught(house, 1000.0)
    house.running()
    waiting = [house.submit(), house.submit(steps=8), house.submit(priority=1)]
    found = [house.queue.eta_s(each) for each in waiting]
    expected = [3000, 3000 + 1500, 2000]  # twice the steps are half as long again
    assert found == pytest.approx(expected, abs=100), "but for the moments since the claim"


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
