"""The reporter: times phases, merges many outputs into one bar, and is heard at a bearable rate."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queue_kit import House, Reader, StopWatch, run_through
from support.samples import request, task

from wan22.errors import Cancelled
from wan22.queue import Claim, RunReporter
from wan22.tasks import EventType, Parts, Phase, Reporter, Status, Task


@pytest.fixture
def watch() -> StopWatch:
    return StopWatch()


@pytest.fixture
def running(house: House) -> Task:
    started = house.clock.at + timedelta(seconds=7)
    return task(status=Status.RUNNING, started_at=started)


@pytest.fixture
def reporter(house: House, running: Task, watch: StopWatch) -> RunReporter:
    return RunReporter(running, house.feed, clock=watch)


def test_it_is_the_reporter_that_pipelines_speak_to(reporter: RunReporter) -> None:
    spoken_to: Reporter = reporter
    spoken_to.check()


def test_phases_are_timed_and_add_up_over_outputs(reporter: RunReporter, running: Task, watch: StopWatch) -> None:
    reporter.phase(Phase.LOADING)
    watch.seconds += 5
    for index in range(2):
        reporter.output(index, 2)
        for phase, seconds in ((Phase.DENOISE, 10.0), (Phase.DECODE, 2.0)):
            reporter.phase(phase)
            watch.seconds += seconds
    timings = reporter.merge(running).timings
    assert timings.model_dump(exclude_none=True) == {
        "queued_s": 7.0,
        "loading_s": 5.0,
        "denoise_s": 20.0,
        "decode_s": 4.0,
        "total_s": 29.0,
        "denoised_together": 1,
    }


def test_the_current_phase_is_timed_while_it_goes_on(reporter: RunReporter, running: Task, watch: StopWatch) -> None:
    reporter.phase(Phase.LOADING)
    for seconds in (1.0, 2.0):
        watch.seconds += 1
        assert reporter.merge(running).timings.loading_s == seconds


def test_steps_are_those_of_the_whole_task(reporter: RunReporter, running: Task) -> None:
    seen = []
    for index in range(3):
        reporter.output(index, 3)
        reporter.phase(Phase.DENOISE)
        for step in (1, 2):
            reporter.progress(step / 2, step=step, total_steps=2)
            live = reporter.merge(running)
            seen.append((live.step, live.total_steps))
    assert seen == [(n, 6) for n in range(1, 7)]


def test_a_new_run_has_come_nowhere(reporter: RunReporter, running: Task) -> None:
    live = reporter.merge(running)
    assert (live.phase, live.progress, live.step, live.total_steps) == (None, 0.0, None, None)


reports = st.lists(
    st.tuples(st.just("phase"), st.sampled_from(Phase))
    | st.tuples(st.just("progress"), st.floats(allow_nan=False))
    | st.tuples(st.just("output"), st.integers(0, 3)),
    max_size=30,
)


@given(reports=reports)
def test_progress_only_grows_and_stays_within_0_and_1(house_for_all: House, reports: list[tuple[str, Any]]) -> None:
    running = task(status=Status.RUNNING)
    reporter = RunReporter(running, house_for_all.feed, clock=StopWatch())
    reached = 0.0
    for what, value in reports:
        if what == "output":
            reporter.output(value, 4)
        else:
            getattr(reporter, what)(value)
        now = reporter.merge(running).progress
        assert reached <= now <= 1.0
        reached = now


def test_a_whole_run_comes_to_1(reporter: RunReporter, running: Task) -> None:
    run_through(Claim(running, 1, reporter))
    assert reporter.merge(running).progress == 1.0


def test_readers_are_told_where_the_run_is(house: House, reporter: RunReporter, running: Task) -> None:
    reader = Reader(house.feed)
    reporter.phase(Phase.DENOISE)
    reporter.progress(0.5, step=2, total_steps=4)
    reporter.progress(1.0, step=4, total_steps=4)
    [event] = reader.take_all()
    assert (event.type, event.task_id) == (EventType.TASK_PROGRESS, running.task_id)
    assert event.data == {
        "status": "running",
        "model_type": "T2V-A14B",
        "phase": "denoise",
        "progress": pytest.approx(0.9),
        "step": 4,
        "total_steps": 4,
        "eta_s": 0.0,  # the clock stands still
    }


def test_a_fast_run_is_heard_20_times_a_second_and_at_the_end_of_each_phase(
    house: House, reporter: RunReporter, watch: StopWatch
) -> None:
    heard = []
    reader = Reader(house.feed)
    reporter.phase(Phase.DENOISE)
    for step in range(1, 1001):
        watch.seconds += 0.001
        reporter.progress(step / 1000, step=step, total_steps=1000)
        heard += reader.take()
    assert 15 <= len(heard) <= 22
    assert heard[-1].data["step"] == 1000


def test_a_preview_is_a_picture_in_the_event(house: House, reporter: RunReporter, running: Task) -> None:
    reader = Reader(house.feed)
    reporter.preview(b"\xff\xd8jpeg", width=64, height=48)
    [event] = reader.take_all()
    assert (event.type, event.task_id) == (EventType.TASK_PREVIEW, running.task_id)
    assert {k: event.data[k] for k in ("width", "height", "mime")} == {"width": 64, "height": 48, "mime": "image/jpeg"}
    assert base64.b64decode(event.data["image"]) == b"\xff\xd8jpeg"


def test_nothing_of_it_is_written_down(house: House) -> None:
    claim = house.running()
    before = house.stored_events()
    run_through(claim)
    assert house.stored_events() == before
    stored = house.store.read(lambda tables: tables.tasks.find(claim.task.task_id))
    assert stored
    assert stored.progress == 0.0


def test_check_is_quiet_until_it_is_to_stop_and_then_never_again(reporter: RunReporter) -> None:
    reporter.check()
    reporter.stop()
    for _ in range(2):
        with pytest.raises(Cancelled):
            reporter.check()


def test_the_end_is_foretold_from_the_claim_on(house: House, watch: StopWatch) -> None:
    running = task(status=Status.RUNNING, request=request(num_videos=2))
    reporter = RunReporter(running, house.feed, learned=Parts(80.0, 20.0, 10.0, 5.0), clock=watch)
    assert reporter.eta_s() == 115.0
    reporter.phase(Phase.DENOISE)
    watch.seconds += 30.0
    reporter.progress(0.5, step=2, total_steps=4)
    assert reporter.eta_s() == pytest.approx(90.0 + 20.0 + 10.0), "half of the first of two took 30 s"
