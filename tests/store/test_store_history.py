"""How a model's tasks went: those that ended by themselves, newest first, in the figures of their records."""

from __future__ import annotations

import pytest
from store_kit import add, in_status
from support.samples import FAILURE, NOON, request, task

from wan22.errors import StoreError
from wan22.store import Store
from wan22.tasks import ModelType, Run, Status, Timings


def history(store: Store, model_type: ModelType = ModelType.T2V_A14B, *, limit: int = 10) -> tuple[Run, ...]:
    return store.read(lambda tables: tables.tasks.history(model_type, limit=limit))


def test_a_run_has_the_figures_of_its_task(store: Store) -> None:
    timings = Timings(denoise_s=20.0, total_s=30.0, denoised_together=2)
    changes = {"timings": timings, "total_steps": 4, "peak_vram_bytes": 7, "finished_at": NOON, "error": FAILURE}
    given = add(store, task(status=Status.FAILED, **changes))
    (run,) = history(store)
    assert run.model_dump() == {
        "task_id": given.task_id,
        "status": Status.FAILED,
        "variant": "demo",
        "device": "cpu",
        "mode": "video",
        "width": 64,
        "height": 48,
        "num_frames": 16,
        "num_videos": 1,
        "guidance_scale": 4.0,
        "total_steps": 4,
        "tasks": 2,
        "denoise_s": 20.0,
        "total_s": 30.0,
        "peak_vram_bytes": 7,
        "finished_at": NOON,
        "error": FAILURE.model_dump(),
        "precision": "fp32",
        "offload": "none",
        "step_cache": False,
    }
    assert run.seconds_per_step == 2.5, "half of it, since there were two"


@pytest.mark.parametrize("status", Status)
def test_only_what_ended_by_itself_is_told(store: Store, status: Status) -> None:
    in_status(store, status)
    assert len(history(store)) == (status in (Status.COMPLETED, Status.FAILED))


def test_the_newest_come_first_and_no_more_than_asked_for(store: Store) -> None:
    ids = [add(store, task(status=Status.COMPLETED)).task_id for _ in range(4)]
    assert [run.task_id for run in history(store, limit=3)] == ids[:0:-1]


def test_each_model_has_its_own(store: Store) -> None:
    add(store, task(status=Status.COMPLETED, request=request(model_type=ModelType.TI2V_5B)))
    assert history(store) == ()
    assert len(history(store, ModelType.TI2V_5B)) == 1


@pytest.mark.filterwarnings("ignore:Pydantic serializer")  # the record is wrong on purpose
def test_a_record_of_another_version_is_named(store: Store) -> None:
    odd = add(store, task(status=Status.COMPLETED, request=request().model_copy(update={"width": "wide"})))
    with pytest.raises(StoreError, match=odd.task_id):
        history(store)
