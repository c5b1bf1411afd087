"""The states of a task and the moves between them, as one table; and the phases of a running one."""

from __future__ import annotations

from enum import Enum


class Status(str, Enum):
    """Where a task stands."""

    QUEUED = "queued"  # accepted and durable, waiting for its turn
    RUNNING = "running"  # claimed by a worker that holds the current fence
    COMPLETED = "completed"  # every output has its name and is whole
    FAILED = "failed"  # ended with an error; may be retried as a new task
    CANCELLED = "cancelled"  # ended because somebody asked for it

    @property
    def is_terminal(self) -> bool:
        """True for the three states that never change again."""
        return not MOVES[self]


MOVES: dict[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset({Status.RUNNING, Status.CANCELLED}),
    Status.RUNNING: frozenset({Status.QUEUED, Status.COMPLETED, Status.FAILED, Status.CANCELLED}),
    Status.COMPLETED: frozenset(),
    Status.FAILED: frozenset(),
    Status.CANCELLED: frozenset(),
}


def may_move(before: Status, after: Status) -> bool:
    """Whether a task may go from `before` to `after`."""
    return after in MOVES[before]


class Phase(str, Enum):
    """What a running task is doing, in this order; a phase that a request does not need is skipped."""

    LOADING = "loading"  # weights into memory
    TEXT_ENCODE = "text_encode"  # prompt and negative prompt through the text encoder
    IMAGE_ENCODE = "image_encode"  # input pictures through the VAE's encoder
    DENOISE = "denoise"  # the diffusion steps
    DECODE = "decode"  # latents through the VAE's decoder, streamed into the video encoder
    ENCODE = "encode"  # what is left of the video encoding once the last frame is decoded
