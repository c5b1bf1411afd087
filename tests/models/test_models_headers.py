"""The beginning of a weight file vouches for its size and for where each tensor lies, and for nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.weight_files import holding, tensors_of, write_sparse

from wan22.errors import ModelCorrupt
from wan22.models.headers import Tensor, check_header, read_tensors

TENSORS = {"a.weight": ("BF16", (3, 5)), "a.bias": ("F32", (5,)), "step": ("I64", ())}


def test_every_tensor_is_told_with_dtype_and_shape(tmp_path: Path) -> None:
    write_sparse(tmp_path / "a.safetensors", TENSORS)
    assert read_tensors(tmp_path / "a.safetensors") == {name: Tensor(*told) for name, told in TENSORS.items()}
    assert tensors_of(tmp_path / "a.safetensors") == TENSORS


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(end=st.integers(-200, 50).filter(bool))
def test_a_file_that_ends_elsewhere_is_refused(tmp_path: Path, end: int) -> None:
    path = tmp_path / "a.safetensors"
    size = write_sparse(path, TENSORS)
    with path.open("r+b") as file:
        file.truncate(max(0, size + end))
    with pytest.raises(ModelCorrupt, match="is cut off or damaged"):
        check_header(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300))
def test_bytes_of_any_kind_are_refused_or_a_whole_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    try:
        found = read_tensors(path)
    except ModelCorrupt:
        return
    assert set(found) == set(tensors_of(path))


def test_a_hole_between_tensors_is_refused(tmp_path: Path) -> None:
    sound = holding(b"12345678")
    (tmp_path / "a.safetensors").write_bytes(sound.replace(b"[0, 8]", b"[1, 9]") + b"9")
    with pytest.raises(ModelCorrupt, match="invalid offset"):
        check_header(tmp_path / "a.safetensors")


def test_a_gguf_file_begins_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(b"GGUF\x03\0\0\0")
    check_header(tmp_path / "a.gguf")
    (tmp_path / "a.gguf").write_bytes(b"\0\0\0\0\x03\0\0\0")
    with pytest.raises(ModelCorrupt, match="GGUF"):
        check_header(tmp_path / "a.gguf")


def test_other_files_have_no_header(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b"")
    check_header(tmp_path / "config.json")
    with pytest.raises(OSError, match="absent"):
        check_header(tmp_path / "absent.safetensors")
