"""The verbs of a server, as blocking calls. Safe to use from several threads at once."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError

from wan22 import __version__
from wan22.client.bodies import Picture, submit_body
from wan22.client.download import save
from wan22.client.follow import PAUSES_S, Follower
from wan22.client.problems import check, reaching
from wan22.client.replies import EstimateReply, LoadReply, Output, RemoteTask, Resident, TaskPage, UnloadReply
from wan22.errors import NotFound, ServerFault
from wan22.tasks import Draft, Event, Forecast, ModelType, Status, name_to_keep

T = TypeVar("T")

DEFAULT_URL = "http://127.0.0.1:8000"
_TASKS = "/api/v1/generation"
_MODELS = "/api/v1/models"
_NO_PROXY: dict[str, None] = {f"all://{host}": None for host in ("127.0.0.1", "localhost", "[::1]")}
_TASK, _PAGE, _MAPPING = TypeAdapter(RemoteTask), TypeAdapter(TaskPage), TypeAdapter(dict[str, Any])
_ESTIMATE = TypeAdapter(EstimateReply)
_LOAD, _UNLOAD = TypeAdapter(LoadReply), TypeAdapter(UnloadReply)
_LOST = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError, httpx.ReadTimeout)


class Client:
    """A connection to the server at `base_url`; a context manager.

    Every verb raises the error that the server named (see `wan22.errors`), and ServerFault where it can't be reached.
    `timeout_s` bounds each wait for an answer, not the generation.
    """

    def __init__(self, base_url: str = DEFAULT_URL, *, api_key: str | None = None, timeout_s: float = 30.0) -> None:
        headers = {"User-Agent": f"wan22/{__version__}"} | ({"X-API-Key": api_key} if api_key else {})
        self.base_url = base_url.rstrip("/")
        with reaching(self.base_url):
            self._http = httpx.Client(base_url=self.base_url, headers=headers, timeout=timeout_s, mounts=_NO_PROXY)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def health(self) -> dict[str, Any]:
        """What `GET /health` says: the server is there."""
        return _parsed(_MAPPING, self._call("GET", "/health"))

    def submit(
        self,
        draft: Draft | None = None,
        *,
        image: Picture | None = None,
        last_image: Picture | None = None,
        idempotency_key: str | None = None,
        enhanced: bool = False,
        **fields: Any,
    ) -> RemoteTask:
        """Queue a task: `draft`, with `fields` (those of the submit body) over it. Returns once it is durable.

        A picture is bytes, a path, a data URL or the id of an earlier upload. If the answer is lost on the way the
        call is made again under the same Idempotency-Key, so that there is one task in the end. `enhanced` lets the
        server choose the model and whatever else is left out.
        """
        body = submit_body(draft, fields, {"image": image, "last_image": last_image})
        path = f"{_TASKS}/enhanced/submit" if enhanced else f"{_TASKS}/submit"
        headers = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        with reaching(self.base_url):
            response = _until_answered(lambda: self._http.post(path, headers=headers, **body.arguments()))
        check(response)
        return _parsed(_TASK, response)

    def estimate(
        self,
        draft: Draft | None = None,
        *,
        image: Picture | None = None,
        last_image: Picture | None = None,
        **fields: Any,
    ) -> Forecast:
        """What such a task would take, by phase, and whether it fits; arguments as `submit`'s. Queues nothing."""
        body = submit_body(draft, fields, {"image": image, "last_image": last_image})
        with reaching(self.base_url):
            response = self._http.post(f"{_TASKS}/estimate", **body.arguments())
        check(response)
        return _parsed(_ESTIMATE, response).forecast

    def get(self, task_id: str) -> RemoteTask:
        """The task as it stands now. Raises NotFound."""
        return _parsed(_TASK, self._call("GET", f"{_TASKS}/{task_id}"))

    def list(
        self,
        *,
        status: Status | str | None = None,
        model_type: ModelType | str | None = None,
        limit: int = 20,
        cursor: str | None = None,
    ) -> TaskPage:
        """Tasks, newest first; `cursor` is the `next_cursor` of the page before."""
        wanted = {"status": status, "model_type": model_type, "limit": limit, "cursor": cursor}
        params = {name: getattr(value, "value", value) for name, value in wanted.items() if value is not None}
        return _parsed(_PAGE, self._call("GET", _TASKS, params=params))

    def cancel(self, task_id: str) -> RemoteTask:
        """Ask a queued or running task to stop. Raises NotFound; WrongState if it has ended."""
        return _parsed(_TASK, self._call("POST", f"{_TASKS}/{task_id}/cancel"))

    def retry(self, task_id: str) -> RemoteTask:
        """A new task from a failed or cancelled one. Raises NotFound, WrongState."""
        return _parsed(_TASK, self._call("POST", f"{_TASKS}/{task_id}/retry"))

    def delete(self, task_id: str) -> None:
        """Cancel the task if needed, then remove its record and files. Raises NotFound."""
        self._call("DELETE", f"{_TASKS}/{task_id}")

    def follow(self, task_id: str, *, timeout_s: float | None = None) -> Follower:
        """The task's events as they come, to the one that ends it; lasts through a restart of the server."""
        return Follower(self._http, task_id, timeout_s=timeout_s)

    def wait(
        self,
        task_id: str,
        *,
        on_event: Callable[[Event], None] | None = None,
        timeout_s: float | None = None,
    ) -> RemoteTask:
        """Block until the task has ended, however it did; each event goes to `on_event` first.

        Raises NotFound; ServerFault if the server stays away for a minute or `timeout_s` goes by.
        """
        for event in self.follow(task_id, timeout_s=timeout_s):
            if on_event:
                on_event(event)
        return self.get(task_id)

    def download(self, task: RemoteTask | str, index: int = 0, path: Path | str | None = None) -> Path:
        """Fetch one output to `path`, replacing a file of that name; by default `<model>-<id>.<ext>` here.

        The file appears under its name only when it is whole and its sha256 is the server's. Raises NotFound for an
        output that is not there, ServerFault if it can't be fetched or written.
        """
        known = task if isinstance(task, RemoteTask) else self.get(task)
        output = _output(known, index)
        target = Path(path) if path is not None else Path(default_name(known, index))
        url = f"{_TASKS}/{known.task_id}/outputs/{index}"
        with reaching(self.base_url), self._http.stream("GET", url) as response:
            if response.is_error:
                response.read()
                check(response)
            save(response.iter_bytes(), target, sha256=output.sha256)
        return target

    def load(self, model_type: ModelType | str) -> LoadReply:
        """Have a model in memory ahead of its first task; returns once it is, after minutes for a large one.

        Raises ModelMissing, ModelCorrupt, OutOfMemory; WrongState while a task runs.
        """
        name = getattr(model_type, "value", model_type)
        timeout = httpx.Timeout(self._http.timeout.connect, read=None)
        return _parsed(_LOAD, self._call("POST", f"{_MODELS}/load/{name}", timeout=timeout))

    def unload(self, model_type: ModelType | str) -> tuple[Resident, ...]:
        """Give back the memory of a model, in all its variants. Raises WrongState while a task runs."""
        name = getattr(model_type, "value", model_type)
        timeout = httpx.Timeout(self._http.timeout.connect, read=None)  # it waits for a load that goes on
        return _parsed(_UNLOAD, self._call("POST", f"{_MODELS}/unload/{name}", timeout=timeout)).unloaded

    def _call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        with reaching(self.base_url):
            response = self._http.request(method, path, **arguments)
        check(response)
        return response


def default_name(task: RemoteTask, index: int = 0) -> str:
    """A file name for an output, the same that the server proposes to browsers."""
    name = name_to_keep(task.model_type, task.task_id, index=index, count=len(task.outputs))
    return f"{name}.{_output(task, index).format}"


def _until_answered(send: Callable[[], httpx.Response]) -> httpx.Response:
    """Send; where the answer was lost on the way, twice more."""
    for pause_s in PAUSES_S[:2]:
        try:
            return send()
        except _LOST:
            time.sleep(pause_s)
    return send()


def _output(task: RemoteTask, index: int) -> Output:
    found = next((output for output in task.outputs if output.index == index), None)
    if found is None:
        raise NotFound(f"Task {task.task_id} is {task.status.value} and has no output {index}.")
    return found


def _parsed(kind: TypeAdapter[T], response: httpx.Response) -> T:
    try:
        return kind.validate_json(response.content)
    except ValidationError as error:
        raise ServerFault(
            f"The answer of {response.request.url} makes no sense.", hint="See whether a WAN22 server listens there."
        ) from error
