"""Bytes that wait are written in large blocks; nothing is held back where nothing waits, and nothing is ever lost."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wan22.models.download import transfer
from wan22.models.download.transfer import gathered

BLOCK = 32
told = st.lists(st.tuples(st.binary(min_size=1, max_size=3 * BLOCK), st.booleans()), max_size=20)


@pytest.fixture(autouse=True, scope="module")
def _small_blocks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transfer, "_BLOCK", BLOCK)
        yield


class Line:
    """Chunks, each with whether the next one waits behind it, and an error at the end if one is told."""

    def __init__(self, said: list[tuple[bytes, bool]], error: Exception | None = None) -> None:
        self.said, self.error, self.waits = said, error, False

    def chunks(self) -> Iterator[bytes]:
        for chunk, waits in self.said:
            self.waits = waits
            yield chunk
        if self.error:
            raise self.error

    def is_waiting(self) -> bool:
        return self.waits


@given(told)
def test_the_bytes_are_the_same_and_held_back_only_while_more_wait(said: list[tuple[bytes, bool]]) -> None:
    line, got, wanted = Line(said), b"", b"".join(chunk for chunk, _ in said)
    for block in gathered(line.chunks(), line.is_waiting, now=lambda: 0.0):
        got += block
        assert len(block) <= BLOCK
        assert len(block) == BLOCK or not line.waits or got == wanted
    assert got == wanted


@given(told)
def test_what_came_before_an_error_is_given_before_it(said: list[tuple[bytes, bool]]) -> None:
    line, got = Line(said, OSError("cut")), io.BytesIO()
    with pytest.raises(OSError, match="cut"):
        got.writelines(gathered(line.chunks(), line.is_waiting))
    assert got.getvalue() == b"".join(chunk for chunk, _ in said)


def test_on_a_slow_line_they_are_not_held_back_for_long() -> None:
    line, clock = Line([(b"x", True)] * 4), iter(range(100))
    sizes = [len(block) for block in gathered(line.chunks(), line.is_waiting, now=lambda: next(clock) * 0.06)]
    assert sizes == [2, 2]
