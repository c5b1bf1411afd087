"""A browser for the browser tests: found, installed where that is nobody's loss, never missed in silence."""

from __future__ import annotations

import pytest
from browser import VARIABLE, System, find_chromium, how_to_get_chromium, provide_chromium
from commands import Answer
from fake_commands import FakeCommands


def system(*present: str, **changes: object) -> System:
    """A system on which these programs and files are there."""
    return System(
        **{
            "environ": {},
            "which": lambda name: f"/usr/bin/{name}" if name in present else None,
            "is_file": lambda path: path in present,
            "platform": "linux",
            "is_root": False,
            **changes,
        }
    )


@pytest.mark.parametrize("name", ["chromium", "chromium-browser", "google-chrome", "msedge"])
def test_a_browser_on_the_path_is_found(name: str) -> None:
    assert find_chromium(system(name)) == f"/usr/bin/{name}"


def test_a_mac_keeps_it_among_the_applications() -> None:
    path = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
    assert find_chromium(system(path, platform="darwin")) == path


def test_the_named_one_goes_before_the_found_one() -> None:
    assert find_chromium(system("chromium", "/opt/mine", environ={VARIABLE: "/opt/mine"})) == "/opt/mine"


def test_a_named_one_that_is_missing_is_not_replaced_by_another() -> None:
    wrong = system("chromium", "apt-get", environ={VARIABLE: "/opt/typo"}, is_root=True)
    commands = FakeCommands()
    assert provide_chromium(wrong, commands, print) is None
    assert commands.done == []
    assert "/opt/typo" in how_to_get_chromium(wrong)


def test_root_on_debian_installs_it_and_says_so() -> None:
    present, said = ["apt-get"], []
    commands = FakeCommands({"update": Answer(0), "chromium": lambda: present.append("chromium") or Answer(0)})
    debian = system(is_root=True, which=lambda name: f"/usr/bin/{name}" if name in present else None)
    assert provide_chromium(debian, commands, said.append) == "/usr/bin/chromium"
    assert [line for line in said if "apt-get install" in line]


@pytest.mark.parametrize("changes", [{"is_root": False}, {"is_root": True, "which": lambda name: None}])
def test_nobody_elses_machine_is_touched(changes: dict[str, object]) -> None:
    commands = FakeCommands()
    assert provide_chromium(system("apt-get", **changes), commands, print) is None
    assert commands.done == []


def test_an_installation_that_fails_leaves_none() -> None:
    assert provide_chromium(system("apt-get", is_root=True), FakeCommands({"update": Answer(100)}), print) is None


@pytest.mark.parametrize(("platform", "word"), [("linux", "apt-get"), ("darwin", "brew"), ("win32", "winget")])
def test_the_cure_fits_the_system(platform: str, word: str) -> None:
    assert word in how_to_get_chromium(system(platform=platform))
