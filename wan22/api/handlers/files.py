"""A task's finished files: which file, of what kind, under what name. Sending it is left to `sending`."""

from __future__ import annotations

from wan22.api.sending import Found
from wan22.api.services import Services
from wan22.errors import NotFound
from wan22.tasks import Artifact, Task, name_to_keep

MEDIA_TYPES = {
    "mp4": "video/mp4",
    "webm": "video/webm",
    "gif": "image/gif",
    "png": "image/png",
    "webp": "image/webp",
}
"""Our own table: the system's may have been changed by another program, on Windows above all."""


def find_output(services: Services, task_id: str, index: int) -> Found:
    """The n-th finished file of a task. Raises NotFound."""
    task, artifact = _artifact(services, task_id, index)
    path = services.outputs.path(task.task_id, artifact.file_name)
    name = download_name(task, artifact)
    return Found(path, MEDIA_TYPES[artifact.format], f"{name}.{artifact.format}", artifact.sha256)


def find_thumbnail(services: Services, task_id: str, index: int) -> Found:
    """The still of the n-th file. Raises NotFound."""
    task, artifact = _artifact(services, task_id, index)
    path = services.outputs.path(task.task_id, artifact.thumbnail_name)
    return Found(path, "image/jpeg", f"{download_name(task, artifact)}.jpg", f"{artifact.sha256}-thumbnail")


def download_name(task: Task, artifact: Artifact) -> str:
    """The name, without its ending, that the file is offered under."""
    model_type = task.request.model_type.value
    return name_to_keep(model_type, task.task_id, index=artifact.index, count=len(task.outputs))


def _artifact(services: Services, task_id: str, index: int) -> tuple[Task, Artifact]:
    task = services.queue.get(task_id)
    found = next((artifact for artifact in task.outputs if artifact.index == index), None)
    if found is None:
        has = f"it has {len(task.outputs)}" if task.outputs else f"it is {task.status.value} and has none"
        raise NotFound(f"The task has no output {index}: {has}.", hint="Outputs are there once a task is completed.")
    return task, found
