"""LoRA files that are sent to the server: no name leads out of the folder, and nothing stays that is no LoRA."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from support.loras import lora_for

from wan22.errors import BodyTooLarge, DiskFull, InvalidRequest, WrongState
from wan22.models.loras.arrivals import Arrivals
from wan22.tasks import ModelType


@pytest.fixture
def good(tmp_path: Path) -> bytes:
    """The content of a LoRA."""
    return lora_for(ModelType.TI2V_5B, tmp_path / "elsewhere/good.safetensors").read_bytes()


@pytest.fixture
def arrivals(tmp_path: Path) -> Arrivals:
    return Arrivals(tmp_path / "loras", max_bytes=10_000_000)


def send(arrivals: Arrivals, name: str, content: bytes, *, replace: bool = False) -> Path:
    with arrivals.open(name, replace=replace) as arrival:
        arrival.write(content[:100])
        arrival.write(content[100:])
        return arrival.finish()


def there(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "loras").iterdir())


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("sunset.safetensors", "sunset.safetensors"),
        ("Sunset.SAFETENSORS", "Sunset.safetensors"),
        ("../../../etc/dusk.safetensors", "dusk.safetensors"),
        ("C:\\loras\\dusk.safetensors", "dusk.safetensors"),
        ("_.safetensors", "lora.safetensors"),
        ("a:b.safetensors", "a_b.safetensors"),
        ("con.safetensors", "lora_con.safetensors"),
        ("<img src=x>.safetensors", "img_src_x.safetensors"),
        ("n\0ul.safetensors", "n_ul.safetensors"),
        ("x" * 300 + ".safetensors", "x" * 80 + ".safetensors"),
        ("\U00020000" * 80 + ".safetensors", "\U00020000" * 58 + ".safetensors"),  # four bytes each, 255 at most
    ],
)
def test_a_name_is_made_safe(arrivals: Arrivals, tmp_path: Path, good: bytes, name: str, kept: str) -> None:
    assert send(arrivals, name, good) == tmp_path / "loras" / kept
    assert there(tmp_path) == [kept]
    assert (tmp_path / "loras" / kept).read_bytes() == good


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("old.ckpt", "is a pickle"),
        ("a.PT", "is a pickle"),
        ("a.gguf", "must be a .safetensors"),
        ("", "must be a"),
        ("x/.SafeTensors", "has no name before"),
    ],
)
def test_other_kinds_are_refused_before_a_byte_is_written(
    arrivals: Arrivals, tmp_path: Path, name: str, told: str
) -> None:
    with pytest.raises(InvalidRequest, match=told):
        arrivals.open(name, replace=False)
    assert not (tmp_path / "loras").exists()


@pytest.mark.parametrize("content", [b"", b"\x80\x04pickle", b"\xff" * 200])
def test_what_is_no_lora_leaves_nothing(arrivals: Arrivals, tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InvalidRequest, match="can't be used as a LoRA"):
        send(arrivals, "bad.safetensors", content)
    assert there(tmp_path) == []


def test_a_name_that_is_taken_in_any_case_is_kept_unless_told(arrivals: Arrivals, tmp_path: Path, good: bytes) -> None:
    send(arrivals, "Dusk.safetensors", good)
    with pytest.raises(WrongState, match=r"Dusk\.safetensors already"):
        send(arrivals, "dusk.safetensors", good)
    send(arrivals, "dusk.safetensors", good, replace=True)
    assert there(tmp_path) == ["Dusk.safetensors"]


def test_one_that_would_take_another_ones_name_is_refused(arrivals: Arrivals, tmp_path: Path, good: bytes) -> None:
    write_there = tmp_path / "loras/styles/dusk.safetensors"
    write_there.parent.mkdir(parents=True)
    write_there.write_bytes(good)
    with pytest.raises(WrongState, match=r"^The LoRA dusk would lose its name to dusk\.safetensors, "):
        send(arrivals, "dusk.safetensors", good)
    assert there(tmp_path) == ["styles"]


def test_of_two_that_come_at_once_the_first_to_end_has_the_name(
    arrivals: Arrivals, tmp_path: Path, good: bytes
) -> None:
    with arrivals.open("dusk.safetensors", replace=False) as first:
        first.write(good)
        send(arrivals, "dusk.safetensors", good)
        with pytest.raises(WrongState):
            first.finish()
    assert there(tmp_path) == ["dusk.safetensors"]


def test_limits_hold_for_what_is_told_and_for_what_comes(tmp_path: Path) -> None:
    arrivals = Arrivals(tmp_path / "loras", max_bytes=1_000)
    with pytest.raises(BodyTooLarge, match="1,000 bytes at most"):
        arrivals.refuse_what_does_not_fit(1_001)
    with pytest.raises(BodyTooLarge):
        send(arrivals, "a.safetensors", b"x" * 1_001)
    with pytest.raises(
        DiskFull, match=r"^The LoRA needs at least 100,000,000,000,000,000 bytes more in .* are free there\."
    ):
        Arrivals(tmp_path, max_bytes=10**18).refuse_what_does_not_fit(10**17)
    assert there(tmp_path) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_is_told_from_other_faults(arrivals: Arrivals, number: int) -> None:
    full, other = arrivals.fault(OSError(number, "")), arrivals.fault(OSError(errno.EACCES, "denied"))
    assert isinstance(full, DiskFull)
    assert full.hint == "Free space there, then send the file again."
    assert not isinstance(other, DiskFull)
    assert "can't be used: denied" in str(other)
    assert other.hint.startswith("Check that the server's account may read and write there, ")


def test_what_a_dead_process_left_is_swept(arrivals: Arrivals, tmp_path: Path, good: bytes) -> None:
    arrivals.sweep()
    send(arrivals, "kept.safetensors", good)
    (tmp_path / "loras/.upload-0123").write_bytes(b"half")
    arrivals.sweep()
    assert there(tmp_path) == ["kept.safetensors"]
