"""Two installations are equal: what stands here is what the constraints say, and they name all that is needed."""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

import pytest
from lock import tidied
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
LINES = [
    Requirement(line.partition("  #")[0])
    for line in (ROOT / "scripts" / "constraints.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
WISHES = [Requirement(line) for line in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]]
ENVIRONMENTS = [
    {"python_version": f"3.{minor}", "python_full_version": f"3.{minor}.1", "sys_platform": system}
    for minor in (10, 11, 12, 13)
    for system in ("linux", "win32", "darwin")
]


def pins(environment: dict[str, str] | None = None) -> dict[str, str]:
    """Name to version for one environment, by default this one."""
    fitting = [line for line in LINES if line.marker is None or line.marker.evaluate(environment)]
    return {canonicalize_name(line.name): str(line.specifier).removeprefix("==") for line in fitting}


def needed() -> set[str]:
    """What WAN22 needs here, direct or not, its tests included; beneath torch only what every build of it needs."""
    todo, seen = [wish for wish in WISHES if not wish.marker or wish.marker.evaluate()], set()
    while todo:
        wish = todo.pop()
        key = (canonicalize_name(wish.name), frozenset(wish.extras))
        if key not in seen and not re.match(r"nvidia-(?!ml-py)|cuda-|triton", wish.name):
            seen.add(key)
            todo += below(wish)
    return {name for name, _ in seen}


def below(wish: Requirement) -> list[Requirement]:
    """What an installed package needs here, with the extras that are wished for."""
    lines = [Requirement(line) for line in metadata.requires(wish.name) or ()]
    extras = [{"extra": extra} for extra in ("", *wish.extras)]
    return [line for line in lines if not line.marker or any(line.marker.evaluate(extra) for extra in extras)]


def test_everything_needed_is_installed_at_the_pinned_version() -> None:
    pinned = pins()
    wrong = {
        name: (metadata.version(name), pinned.get(name))
        for name in needed()
        if Version(metadata.version(name)).public != pinned.get(name)
    }
    assert not wrong, "installed and pinned; `python scripts/test.py` installs what is pinned"


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda e: f"{e['python_version']}-{e['sys_platform']}")
def test_every_package_has_one_version_for_each_python_and_system(environment: dict[str, str]) -> None:
    fitting = [line.name for line in LINES if line.marker is None or line.marker.evaluate(environment)]
    assert len(fitting) == len(set(fitting))
    assert all(re.fullmatch(r"==[\w.]+", str(line.specifier)) for line in LINES)


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda e: f"{e['python_version']}-{e['sys_platform']}")
def test_what_the_project_names_is_pinned_within_its_bounds(environment: dict[str, str]) -> None:
    for wish in WISHES:
        if wish.marker is None or wish.marker.evaluate(environment):
            assert wish.specifier.contains(pins(environment)[canonicalize_name(wish.name)]), str(wish)


def test_torch_fits_cpu_and_cuda_builds() -> None:
    assert "+" not in pins()["torch"]
    for build in ("+cpu", "+cu130", ""):
        assert next(line for line in LINES if line.name == "torch").specifier.contains(pins()["torch"] + build)


def test_what_a_build_of_torch_pins_by_itself_is_left_to_it() -> None:
    resolved = "cuda-toolkit==13.0.3  # via torch\nnvidia-cublas==13.1 ; sys_platform == 'linux'    # via x\n"
    resolved += (
        "nvidia-ml-py==13.6         # via wan22\ntriton==3.7.1\nhttpx2-jsfetch==1 ; sys_platform == 'emscripten'\n"
    )
    assert tidied(resolved) == "nvidia-ml-py==13.6  # via wan22\n"
