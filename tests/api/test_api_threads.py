"""The crossing to blocking code: what it gives back, what it raises, and who waits for whom."""

from __future__ import annotations

import asyncio
import threading

import pytest

from wan22.api.threads import Threads
from wan22.errors import NotFound


def fail() -> None:
    raise NotFound("There is no such thing.")


def test_a_call_runs_in_another_thread_and_gives_its_value() -> None:
    async def story() -> tuple[int, int]:
        return await Threads().call(threading.get_ident), await Threads().heavy(max, 1, 2)

    thread, largest = asyncio.run(story())
    assert thread != threading.get_ident()
    assert largest == 2


def test_an_error_comes_back_as_it_is() -> None:
    with pytest.raises(NotFound):
        asyncio.run(Threads().call(fail))


def test_heavy_calls_that_are_stuck_leave_the_others_room() -> None:
    async def story() -> str:
        threads, release = Threads(), threading.Event()
        stuck = [asyncio.ensure_future(threads.heavy(release.wait)) for _ in range(10)]
        await asyncio.sleep(0)
        answer = await threads.call(lambda: "answered")
        release.set()
        await asyncio.gather(*stuck)
        return answer

    assert asyncio.run(story()) == "answered"


def test_a_look_is_given_up_and_waits_for_no_place() -> None:
    async def story() -> str:
        threads, release = Threads(size=1), threading.Event()
        stuck = asyncio.ensure_future(threads.call(release.wait))
        await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            await threads.within(0.01, release.wait)
        answer = await threads.within(20, lambda: "answered")
        release.set()
        await stuck
        return answer

    assert asyncio.run(story()) == "answered"
