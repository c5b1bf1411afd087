"""The client against the real server, with a painter in the place of the models."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from PIL import Image

from wan22.cli.background import served
from wan22.client import Client
from wan22.errors import InvalidImage, InvalidRequest, NotFound, WrongState
from wan22.runtime import Runtime
from wan22.settings import load_settings
from wan22.tasks import Draft, Event, EventType, Phase, Status
from wan22.testing import Painter

SMALL = {"model_type": "T2V-A14B", "prompt": "waves", "resolution": "64x64", "num_frames": 5, "steps": 2}


@contextmanager
def running(home: Path, *, step_s: float, port: int = 0) -> Iterator[str]:
    settings = load_settings(storage={"home": home, "min_free_bytes": 0}, server={"shutdown_grace_s": 0})
    runtime = Runtime(settings, painter=lambda outputs: Painter(outputs, step_s=step_s))
    try:
        with served(runtime.app, port=port) as url:
            yield url
    finally:
        runtime.close()


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with running(tmp_path_factory.mktemp("home"), step_s=0.02) as url, Client(url) as client:
        yield client


def test_from_a_prompt_to_a_file(real: Client, tmp_path: Path) -> None:
    heard: list[Event] = []
    task = real.submit(**SMALL, seed=7, metadata={"mine": True})
    done = real.wait(task.task_id, on_event=heard.append)
    assert (done.status, done.outputs[0].num_frames, done.outputs[0].seed) == (Status.COMPLETED, 5, 7)
    assert done.request["metadata"] == {"mine": True}
    assert heard[0].type is EventType.TASK_QUEUED
    assert heard[-1].type is EventType.TASK_COMPLETED
    assert real.download(done, 0, tmp_path / "waves.mp4").stat().st_size == done.outputs[0].size_bytes


def test_what_a_task_would_take_is_told_and_nothing_is_queued(real: Client) -> None:
    before = len(real.list().tasks)
    told = real.estimate(Draft(**SMALL), num_videos=2)
    assert [one.phase for one in told.phases] == [Phase.TEXT_ENCODE, Phase.DENOISE, Phase.DECODE]
    assert told.fits == "yes"
    with pytest.raises(InvalidRequest):
        real.estimate(**{**SMALL, "fps": 7})
    assert len(real.list().tasks) == before


def test_waiting_for_what_has_ended(real: Client) -> None:
    task = real.submit(**SMALL)
    assert real.wait(task.task_id).status is real.wait(task.task_id).status is Status.COMPLETED


def test_wrong_fields_come_back_one_by_one(real: Client) -> None:
    with pytest.raises(InvalidRequest) as caught:
        real.submit(**{**SMALL, "fps": 7, "num_frames": 5000})
    assert {error.field for error in caught.value.errors} == {"fps", "num_frames"}


def test_a_typo_is_told(real: Client) -> None:
    with pytest.raises(InvalidRequest, match="promt"):
        real.submit(**SMALL, promt="waves")


def test_a_picture_as_bytes(real: Client) -> None:
    png = io.BytesIO()
    Image.new("RGB", (64, 64), "teal").save(png, "PNG")
    first = real.submit(**{**SMALL, "model_type": "I2V-A14B"}, image=png.getvalue())
    again = real.submit(**{**SMALL, "model_type": "I2V-A14B"}, image=first.request["image"]["id"])
    assert again.request["image"] == first.request["image"]


def test_a_picture_that_is_none(real: Client) -> None:
    with pytest.raises(InvalidImage):
        real.submit(**{**SMALL, "model_type": "I2V-A14B"}, image=b"not a picture")


def test_cancel_retry_delete(real: Client) -> None:
    task = real.submit(**{**SMALL, "steps": 200})
    real.cancel(task.task_id)
    assert real.wait(task.task_id).status is Status.CANCELLED
    with pytest.raises(WrongState):
        real.cancel(task.task_id)
    again = real.retry(task.task_id)
    assert again.task_id != task.task_id
    for task_id in (again.task_id, task.task_id):
        real.delete(task_id)
    with pytest.raises(NotFound):
        real.get(again.task_id)
    with pytest.raises(NotFound):
        real.wait(task.task_id)


def test_the_list_goes_page_by_page(real: Client) -> None:
    ids = [real.submit(**SMALL).task_id for _ in range(3)]
    for task_id in ids:
        real.wait(task_id)
    first = real.list(limit=2, status=Status.COMPLETED)
    second = real.list(limit=2, status="completed", cursor=first.next_cursor)
    assert [task.task_id for task in (*first.tasks, *second.tasks)][:3] == ids[::-1]


def test_a_key_sent_twice_gives_one_task(real: Client) -> None:
    tasks = [real.submit(**SMALL, seed=1, idempotency_key="once") for _ in range(2)]
    assert tasks[0].task_id == tasks[1].task_id


def test_waiting_outlives_a_restart_of_the_server(tmp_path: Path) -> None:
    with ExitStack() as server:
        url = server.enter_context(running(tmp_path, step_s=0.1))
        with Client(url) as client:
            task = client.submit(**{**SMALL, "steps": 100})
            events = iter(client.follow(task.task_id))
            while next(events).type is not EventType.TASK_PROGRESS:
                pass
            server.close()
            server.enter_context(running(tmp_path, step_s=0.0, port=int(url.rpartition(":")[2])))
            assert [event.type for event in events][-1] is EventType.TASK_COMPLETED
            assert client.get(task.task_id).attempts >= 1
