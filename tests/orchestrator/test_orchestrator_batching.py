"""How many videos are denoised together: what pays and fits, with the reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wan22.orchestrator.batching import FEW_TOKENS, Batching, choose_batch


def chosen(
    tokens: int = 100,
    *,
    most: int = 8,
    computing_s: float | None = None,
    reading_s: float = 0.0,
    room: int = 16,
) -> tuple[int, str]:
    """Of videos that each take so long to compute, while the weights are read once for all."""

    def video_s(count: int) -> float | None:
        return None if computing_s is None else max(computing_s * count, reading_s) / count

    at_once, choice = choose_batch(Batching(tokens, most, video_s, lambda count: count <= room))
    assert choice.choice == str(at_once)
    return at_once, choice.why


@pytest.mark.parametrize(
    ("at_once", "known", "why"),
    [
        (1, {"most": 1}, "allow no more"),
        (1, {"computing_s": 1.0, "reading_s": 0.5}, "computing takes all of the time"),
        (1, {"computing_s": 1.0, "reading_s": 1.05}, "computing takes all of the time"),
        (4, {"computing_s": 1.0, "reading_s": 4.0}, "each takes 25% of its time alone"),
        (8, {"computing_s": 1.0, "reading_s": 40.0}, "weights are read once"),
        (2, {"computing_s": 1.0, "reading_s": 40.0, "room": 2}, "50%"),
        (1, {"computing_s": 1.0, "reading_s": 40.0, "room": 1}, "memory holds no second one"),
        (5, {"tokens": FEW_TOKENS // 5}, "several together are faster"),
        (3, {"tokens": FEW_TOKENS // 5, "room": 3}, "several together are faster"),
        (1, {"tokens": FEW_TOKENS}, "keep the device busy"),
        (1, {"room": 1}, "memory holds no second one"),
    ],
)
def test_as_many_as_pay_and_fit(at_once: int, known: dict[str, float], why: str) -> None:
    found, said = chosen(**known)  # type: ignore[arg-type]  # numbers of both kinds
    assert (found, why in said) == (at_once, True), said


@given(
    tokens=st.integers(1, 100_000),
    most=st.integers(1, 16),
    room=st.integers(1, 16),
    computing_s=st.none() | st.floats(1e-3, 1e3),
    reading_s=st.floats(0, 1e3),
)
def test_never_more_than_may_be_or_fit(
    tokens: int, most: int, room: int, computing_s: float | None, reading_s: float
) -> None:
    at_once, why = chosen(tokens, most=most, room=room, computing_s=computing_s, reading_s=reading_s)
    assert 1 <= at_once <= min(most, room)
    assert why
