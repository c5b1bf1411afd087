"""Which torch is taken: pure decisions over what pip would answer, what is there and what the machine has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import Answer, SetupFailed
from fake_commands import FakeCommands
from gpu import Gpu
from hypothesis import given
from hypothesis import strategies as st
from torch_build import (
    CPU_INDEX,
    DEFAULT,
    Build,
    Place,
    asker,
    build_of,
    choose,
    find_present,
    places,
    runs_on,
    serves,
    suits,
)

CPU = Build("2.13.0+cpu")
CUDA_13 = Build("2.13.0", (13, 0))
CUDA_12 = Build("2.13.0+cu126", (12, 6))
RTX_4080 = Gpu((12, 4), (8, 9))  # the report's card under its driver
NEW_DRIVER = Gpu((13, 0), (8, 9))
VOLTA = Gpu((13, 0), (7, 0))
BLACKWELL = Gpu((12, 8), (12, 0))
REQUIRES = [
    "filelock",
    'cuda-toolkit[cublas,cudart]==13.0.3; platform_system == "Linux"',
    'nvidia-cudnn-cu13==9.20.0.48; platform_system == "Linux"',
    'triton==3.7.1; platform_system == "Linux" and python_version < "3.15"',
]


def report(version: str, requires: list[str] | None = None) -> dict[str, object]:
    return {"install": [{"metadata": {"name": "torch", "version": version, "requires_dist": requires}}]}


def offering(**builds: Build) -> object:
    """Asks places by the last part of their index, `default` for pip's own."""
    return lambda place: builds.get(place.options[-1].rsplit("/", 1)[-1] if place.options else "default")


@pytest.mark.parametrize(
    ("version", "requires", "cuda"),
    [
        ("2.13.0+cpu", None, None),
        ("2.13.0+cu126", ["nvidia-cuda-runtime-cu12==12.6.77"], (12, 6)),
        ("2.13.0+cu130", None, (13, 0)),
        ("2.13.0", REQUIRES, (13, 0)),
        ("2.13.0", ['nvidia-cudnn-cu13==9.20; platform_system == "Linux"'], (13, 0)),
        ("2.13.0", ["filelock", "sympy>=1.13.3"], None),
        ("2.13.0", ["nvidia-ml-py"], None),
    ],
)
def test_a_build_is_told_by_its_version_or_by_what_it_needs(
    version: str, requires: list[str] | None, cuda: tuple[int, int] | None
) -> None:
    assert build_of(report(version, requires), system="Linux") == Build(version, cuda)


@pytest.mark.parametrize("system", ["Windows", "Darwin"])
def test_needs_of_other_systems_do_not_count(system: str) -> None:
    assert build_of(report("2.13.0", REQUIRES), system=system) == Build("2.13.0")


def test_a_report_without_torch_is_no_build() -> None:
    assert build_of({"install": []}, system="Linux") is None


@pytest.mark.parametrize(
    ("cuda", "gpu", "runs"),
    [
        ((12, 6), RTX_4080, True),  # minor versions go together
        ((13, 0), RTX_4080, False),  # another major version needs a newer driver
        ((13, 0), NEW_DRIVER, True),
        ((12, 6), NEW_DRIVER, True),  # drivers run what is older
        ((13, 0), VOLTA, False),
        ((12, 6), VOLTA, True),
        ((12, 6), BLACKWELL, False),
        ((12, 9), BLACKWELL, True),
        ((13, 0), Gpu(), True),
    ],
)
def test_what_runs_on_which_driver_and_card(cuda: tuple[int, int], gpu: Gpu, runs: bool) -> None:
    assert runs_on(cuda, gpu) is runs


def test_without_a_gpu_pips_own_index_is_asked_before_pytorchs() -> None:
    assert places(None) == [DEFAULT, CPU_INDEX]


@pytest.mark.parametrize(
    ("gpu", "tags"),
    [
        (NEW_DRIVER, ["cu130", "cu129", "cu126", "cpu"]),
        (RTX_4080, ["cu129", "cu126", "cpu"]),
        (VOLTA, ["cu129", "cu126", "cpu"]),
        (BLACKWELL, ["cu129", "cpu"]),
        (Gpu((11, 4), (7, 5)), ["cpu"]),
    ],
)
def test_with_a_gpu_the_indexes_that_can_run_on_it_are_asked(gpu: Gpu, tags: list[str]) -> None:
    assert [place.options[-1].rsplit("/", 1)[-1] for place in places(gpu)[1:]] == tags


def test_a_cpu_build_from_pips_own_index_is_taken_at_once() -> None:
    asked: list[Place] = []
    choice = choose(lambda place: asked.append(place) or CPU, None)
    assert (choice.place, choice.warning, asked) == (DEFAULT, None, [DEFAULT])


def test_no_cuda_build_without_a_gpu_where_a_cpu_build_can_be_had() -> None:
    choice = choose(offering(default=CUDA_13, cpu=CPU), None)
    assert (choice.place, choice.build, choice.warning) == (CPU_INDEX, CPU, None)


def test_where_no_cpu_build_can_be_had_the_cuda_build_comes_with_a_warning() -> None:
    choice = choose(offering(default=CUDA_13), None)
    assert choice.build == CUDA_13
    assert "gigabytes" in (choice.warning or "")


def test_the_reports_machine_gets_the_build_for_its_driver() -> None:
    choice = choose(offering(default=CPU, cu130=Build("2.13.0+cu130", (13, 0)), cu126=CUDA_12, cpu=CPU), RTX_4080)
    assert (choice.build, choice.warning) == (CUDA_12, None)


def test_a_gpu_with_a_driver_too_old_gets_the_cpu_build_and_is_told_to_update() -> None:
    choice = choose(offering(default=CUDA_13, cpu=CPU), Gpu((11, 4), (8, 6)))
    assert choice.build == CPU
    assert "update NVIDIA's driver" in (choice.warning or "")
    assert "11.4" in (choice.warning or "")


def test_nothing_anywhere_is_said_with_a_cure() -> None:
    with pytest.raises(SetupFailed, match="network"):
        choose(lambda place: None, None)


BUILDS = st.sampled_from([CPU, CUDA_13, CUDA_12, Build("2.13.0+cu129", (12, 9)), None])
VERSIONS = st.tuples(st.integers(11, 14), st.integers(0, 9))
GPUS = st.none() | st.builds(Gpu, st.none() | VERSIONS, st.none() | st.tuples(st.integers(5, 12), st.integers(0, 9)))


@given(GPUS, st.lists(BUILDS, min_size=5, max_size=5))
def test_a_choice_without_a_warning_always_suits(gpu: Gpu | None, builds: list[Build | None]) -> None:
    offers = iter(builds)
    given_out: list[Build] = []

    def ask(place: Place) -> Build | None:
        build = next(offers)
        given_out.extend([build] if build else [])
        return build

    try:
        choice = choose(ask, gpu)
    except SetupFailed:
        assert not given_out
        return
    assert (choice.warning is None) == suits(choice.build, gpu)
    assert choice.warning is None or not any(suits(build, gpu) for build in given_out)


@pytest.mark.parametrize(
    ("build", "gpu", "stays"),
    [
        (CPU, None, True),
        (CUDA_13, None, True),  # its gigabytes are there already
        (CPU, NEW_DRIVER, False),
        (CUDA_13, NEW_DRIVER, True),
        (CUDA_13, RTX_4080, False),
        (Build("2.9.1+cpu"), None, False),
        (Build("2.10.0+cpu"), None, True),
        (Build("strange"), None, False),
    ],
)
def test_a_torch_that_is_there_stays_if_it_serves(build: Build, gpu: Gpu | None, stays: bool) -> None:
    assert serves(build, gpu, (2, 10)) is stays


def test_pip_is_asked_for_metadata_alone() -> None:
    commands = FakeCommands({"pip install": Answer(0, json.dumps(report("2.13.0+cpu")))})
    build = asker(commands, "python", "torch==2.13.0", system="Linux")(CPU_INDEX)
    assert build == CPU
    for word in ("--dry-run", "--no-deps", "--use-feature=fast-deps", "torch==2.13.0", "whl/cpu"):
        assert word in commands.asked[0]


def test_a_place_that_can_not_be_reached_offers_nothing() -> None:
    assert asker(FakeCommands({"pip": Answer(1)}), "python", "torch==2.13.0", system="Linux")(DEFAULT) is None


def test_a_present_torch_is_found_by_importing_it(tmp_path: Path) -> None:
    answer = Answer(0, "a library's greeting\n" + json.dumps(["2.13.0+cu126", "12.6", str(tmp_path)]) + "\n")
    present = find_present(FakeCommands({"python -c": answer}), "python")
    assert present
    assert (present.build, present.folder) == (CUDA_12, tmp_path)


def test_a_torch_that_can_not_be_imported_is_not_there() -> None:
    assert find_present(FakeCommands({"python -c": Answer(1, err="ImportError: libcudart.so.13")}), "python") is None
