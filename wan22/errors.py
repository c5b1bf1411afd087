"""The tree of everything that can go wrong, each with a sentence that ends in its cure. Knows nothing of HTTP.

Wan22Error
├── RequestError                the caller can cure it
│   ├── MalformedBody           not JSON, not UTF-8, NaN, lone surrogates
│   ├── BodyTooLarge
│   ├── UnsupportedMediaType
│   ├── InvalidRequest          a field is wrong; carries one FieldError for each
│   ├── InvalidImage            an input picture that can't be used
│   ├── IdempotencyMismatch     the same key with another body
│   ├── NotFound                no such task, output or upload
│   ├── WrongState              the task or the model can't do that now
│   ├── QueueFull               carries `retry_after_s`
│   ├── Unauthorized
│   └── Forbidden               refused by the guard: host, origin or site
├── ConfigurationError          the server refuses to start
├── ServerFault                 the caller can't cure it
│   ├── StoreError              SQLite failed
│   ├── DiskFull
│   ├── ModelMissing            weights are not on disk
│   ├── ModelCorrupt            weights are there and wrong
│   ├── DownloadFailed          weights can't be fetched from any source
│   ├── EncoderFailed           ffmpeg ended badly
│   ├── OutOfMemory             the device or the host ran out of memory
│   ├── WorkerCrashed           the process died while the task ran
│   └── GenerationFailed        anything else that ended a run
└── Cancelled                   not a fault: the run was asked to stop
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class FieldError:
    """One wrong field of a request: its dotted path, what is wrong and how to cure it, and what was sent."""

    field: str
    message: str
    value: Any = None


class Wan22Error(Exception):
    """Base of all our errors: `code` is a stable word, `detail` a sentence for people, `hint` the next thing to do."""

    code: ClassVar[str] = "error"
    title: ClassVar[str] = "Something went wrong"
    default_hint: ClassVar[str] = "The server's log has the cause; please report it with what led here."

    def __init__(self, detail: str, *, hint: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = self.default_hint if hint is None else hint


class RequestError(Wan22Error):
    """The caller can cure it."""

    code = "bad_request"
    title = "The request can't be served"
    default_hint = "Correct the request and send it again; `/docs` lists every call with an example."


class MalformedBody(RequestError):
    """The bytes of the body are not what they claim to be."""

    code = "malformed_body"
    title = "The body can't be read"
    default_hint = "Send a JSON object as UTF-8, or a multipart form; `/docs` has examples."


class BodyTooLarge(RequestError):
    """The body is over the limit for its kind."""

    code = "body_too_large"
    title = "The body is too large"
    default_hint = "Send smaller pictures and shorter texts."


class UnsupportedMediaType(RequestError):
    """The Content-Type is none that this route reads."""

    code = "unsupported_media_type"
    title = "This kind of body is not read here"
    default_hint = "Send JSON with Content-Type: application/json, or a multipart form."


class InvalidRequest(RequestError):
    """One or more fields are wrong; `errors` names each."""

    code = "invalid_request"
    title = "The request has wrong fields"
    default_hint = "Correct the named fields and send the request again; `/docs` lists every field."

    def __init__(self, errors: list[FieldError] | tuple[FieldError, ...], *, hint: str | None = None) -> None:
        self.errors = tuple(errors)
        said = [f"{error.field}: {error.message}" for error in self.errors]
        super().__init__("; ".join([*(one.rstrip(".") for one in said[:-1]), *said[-1:]]), hint=hint)

    @classmethod
    def of(cls, field: str, message: str, value: Any = None) -> InvalidRequest:
        """An error about a single field."""
        return cls([FieldError(field, message, value)])


class InvalidImage(RequestError):
    """An input picture that can't be decoded or is over the limits."""

    code = "invalid_image"
    title = "The image can't be used"
    default_hint = "Send the picture again as a whole PNG, JPEG or WebP file."

    def __init__(self, detail: str, *, hint: str | None = None, field: str = "image") -> None:
        super().__init__(detail, hint=hint)
        self.errors = (FieldError(field, detail),)


class IdempotencyMismatch(RequestError):
    """An Idempotency-Key was used before with another body."""

    code = "idempotency_mismatch"
    title = "This Idempotency-Key belongs to another request"
    default_hint = "Use a new key for a new request, or send the first body again."


class NotFound(RequestError):
    """There is no such thing."""

    code = "not_found"
    title = "Not found"
    default_hint = "`GET /api/v1/generation` lists the tasks that exist."


class WrongState(RequestError):
    """What the task or the model is in does not allow the verb."""

    code = "wrong_state"
    title = "That can't be done now"
    default_hint = "Look at the task's `status`: the answer to `GET /api/v1/generation/{task_id}` has it."


class QueueFull(RequestError):
    """The queue holds as many tasks as it may; `retry_after_s` says when to try again."""

    code = "queue_full"
    title = "The queue is full"
    default_hint = "Send the request again after the seconds in the Retry-After header, or cancel a task that waits."

    def __init__(self, detail: str, *, retry_after_s: int, hint: str | None = None) -> None:
        super().__init__(detail, hint=hint)
        self.retry_after_s = retry_after_s


class Unauthorized(RequestError):
    """The API key is missing or wrong."""

    code = "unauthorized"
    title = "An API key is needed"
    default_hint = "Send the key as `Authorization: Bearer KEY` or `X-API-Key: KEY`."


class Forbidden(RequestError):
    """The request came from a place that is not trusted: a foreign Host, Origin or site."""

    code = "forbidden"
    title = "Refused"
    default_hint = "Call the server by its own address, from this machine or from a page that it serves."


class ConfigurationError(Wan22Error):
    """The server can't start as configured."""

    code = "configuration"
    title = "The configuration can't work"
    default_hint = "Correct the setting and start the server again; `wan22 doctor` checks the rest."


class ServerFault(Wan22Error):
    """The caller can't cure it."""

    code = "server_fault"
    title = "The server failed"
    default_hint = "The server's log has the cause; `wan22 doctor` checks what the server needs."


class StoreError(ServerFault):
    """SQLite refused or failed."""

    code = "store"
    title = "The task database failed"
    default_hint = "Look at the server's log; `wan22 doctor` checks the database and the disk."


class DiskFull(ServerFault):
    """No space is left for the database or an output."""

    code = "disk_full"
    title = "The disk is full"
    default_hint = "Delete tasks you no longer need or free space, then send the request again."


class ModelMissing(ServerFault):
    """The weights of a model are not on disk."""

    code = "model_missing"
    title = "The model is not on disk"
    default_hint = "Put its weights where the message says; `wan22 models status` tells what each model has."


class ModelCorrupt(ServerFault):
    """The weights of a model are on disk and can't be used."""

    code = "model_corrupt"
    title = "The model's files are damaged"
    default_hint = "Put the model's files there anew, then send the request again."


class DownloadFailed(ServerFault):
    """The weights of a model can't be listed, or no source gives them."""

    code = "download_failed"
    title = "The model could not be downloaded"
    default_hint = "Look at the reason of each source and start the download again: what was fetched is kept."


class EncoderFailed(ServerFault):
    """ffmpeg could not be run or ended with an error."""

    code = "encoder_failed"
    title = "The video could not be encoded"
    default_hint = "The server's log has the cause; `wan22 doctor` checks ffmpeg and the disk."


class OutOfMemory(ServerFault):
    """The device or the host ran out of memory during a run."""

    code = "out_of_memory"
    title = "Out of memory"
    default_hint = "Ask for a smaller size or fewer frames."


class WorkerCrashed(ServerFault):
    """The process died more than once while this task ran."""

    code = "worker_crashed"
    title = "The server died while running this task"
    default_hint = "Ask for a smaller size or fewer frames, then retry the task."


class GenerationFailed(ServerFault):
    """A run ended with an error that has no name of its own."""

    code = "generation_failed"
    title = "The generation failed"
    default_hint = "The server's log has the cause; retry the task once it is cured."


class Cancelled(Wan22Error):
    """The run was asked to stop; not a fault."""

    code = "cancelled"
    title = "Cancelled"
    default_hint = "Retry the task to run it again."
