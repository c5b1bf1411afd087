"""What is installed into .venv, when, and what is said if that fails. pip and Python are fakes; folders are real."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from commands import Answer, SetupFailed
from environment import Checkout, Setup, Stamp, key_of, oldest_torch, pinned_torch, prepare
from fake_commands import FakeCommands
from gpu import Gpu

CPU_REPORT = {"install": [{"metadata": {"name": "torch", "version": "2.13.0+cpu"}}]}


class Machine:
    """A checkout, and the commands of a machine in which everything works and no torch is there."""

    def __init__(self, root: Path) -> None:
        self.checkout = Checkout(root)
        self.said: list[str] = []
        (root / "scripts").mkdir(parents=True)
        (root / "pyproject.toml").write_text('dependencies = ["torch>=2.10"]')
        self.checkout.constraints.write_text("pip==26.3\ntorch==2.13.0\n")
        self.commands = FakeCommands(
            {
                "-m venv": self.make_venv,
                "import sys, pip": self.look,
                "purelib": self.site,
                "torch.__version__": Answer(1),
                "--dry-run": Answer(0, json.dumps(CPU_REPORT)),
                "-m pip install": Answer(0),
            }
        )

    def make_venv(self) -> Answer:
        self.checkout.python.parent.mkdir(parents=True)
        self.checkout.python.touch()
        (self.checkout.venv / "pyvenv.cfg").write_text("version = 3.12.1")
        return Answer(0)

    def look(self) -> Answer:
        return Answer(0, "3 12\n") if self.checkout.python.is_file() else Answer(127)

    def site(self) -> Answer:
        return Answer(0, f"{self.checkout.venv}\n")

    def has_torch(self, version: str, folder: Path, *, python: str = sys.executable, cuda: str | None = None) -> None:
        found = Answer(0, json.dumps([version, cuda, str(folder)]))
        self.commands.replies = {f"{python} -c \nimport json, pathlib, torch": found, **self.commands.replies}

    def prepare(self, **changes: object) -> Path:
        self.commands.asked.clear()
        self.commands.done.clear()
        return prepare(replace(Setup(self.checkout, self.commands, self.said.append), **changes))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "checkout")


def test_a_bare_machine_gets_pip_then_torch_then_the_project(machine: Machine) -> None:
    assert machine.prepare() == machine.checkout.python
    pip, torch, project = (line.partition(" -m pip ")[2] for line in machine.commands.done)
    assert pip == f"install --upgrade -c {machine.checkout.constraints} pip setuptools"
    assert torch == "install --no-deps torch==2.13.0+cpu"
    assert project.endswith(f"-c {machine.checkout.constraints} -e {machine.checkout.root}")


def test_a_second_time_nothing_is_asked_of_pip(machine: Machine) -> None:
    machine.prepare()
    machine.prepare()
    assert machine.commands.done == []
    assert len(machine.commands.asked) == 1, "only whether the environment's Python starts"


def test_another_extra_is_added_and_then_both_uses_are_covered(machine: Machine) -> None:
    machine.prepare()
    machine.prepare(extras=frozenset({"test"}))
    assert machine.commands.done[-1].endswith(f"{machine.checkout.root}[test]")
    machine.prepare()
    assert machine.commands.done == []


@pytest.mark.parametrize("change", ["pyproject.toml", "scripts/constraints.txt", ".venv/pyvenv.cfg"])
def test_a_changed_source_is_looked_over_again(machine: Machine, change: str) -> None:
    machine.prepare()
    with (machine.checkout.root / change).open("a") as file:
        file.write("\n# changed\n")
    machine.prepare()
    assert machine.commands.done[-1].endswith(f"-e {machine.checkout.root}")


def test_a_gpu_that_was_put_in_is_noticed(machine: Machine) -> None:
    setup = Setup(machine.checkout, machine.commands, machine.said.append)
    assert key_of(setup) != key_of(replace(setup, gpu=Gpu((13, 0), (8, 9))))
    assert key_of(replace(setup, gpu=Gpu())) == key_of(replace(setup, gpu=Gpu((13, 0), (8, 9))))


def test_a_checkout_that_was_moved_is_looked_over_again(machine: Machine, tmp_path: Path) -> None:
    machine.prepare()
    machine.checkout = Checkout(machine.checkout.root.rename(tmp_path / "moved"))
    machine.prepare()
    assert machine.commands.done[-1].endswith(f"-e {tmp_path / 'moved'}")


def test_the_pinned_torch_in_the_environment_stays(machine: Machine) -> None:
    machine.make_venv()
    machine.has_torch("2.13.0+cpu", machine.checkout.venv / "lib", python=str(machine.checkout.python))
    machine.prepare()
    assert not [line for line in machine.commands.done if "torch==" in line]


def test_another_torch_in_the_environment_is_brought_to_the_pinned_version(machine: Machine) -> None:
    machine.make_venv()
    machine.has_torch("2.12.0+cpu", machine.checkout.venv / "lib", python=str(machine.checkout.python))
    machine.prepare()
    assert [line for line in machine.commands.done if line.endswith("torch==2.13.0+cpu")]


def test_a_torch_around_the_environment_is_used(machine: Machine, tmp_path: Path) -> None:
    machine.has_torch("2.14.0+cu130", tmp_path / "site", cuda="13.0")
    machine.commands.replies["UMT5EncoderModel"] = Answer(0)
    machine.prepare(gpu=Gpu((13, 0), (8, 9)))
    assert (machine.checkout.venv / "wan22-inherited.pth").read_text() == f"{tmp_path / 'site'}\n"
    fitting = Path(machine.commands.done[-1].partition("-c ")[2].split(" ")[0])
    assert fitting.read_text() == "pip==26.3\ntorch==2.14.0+cu130\n"
    assert not [line for line in machine.commands.done if "--no-deps" in line]


def test_a_torch_around_it_that_can_not_use_the_gpu_is_not_used(machine: Machine, tmp_path: Path) -> None:
    machine.has_torch("2.14.0+cpu", tmp_path / "site")
    machine.prepare(gpu=Gpu((13, 0), (8, 9)))
    assert not (machine.checkout.venv / "wan22-inherited.pth").exists()


def test_a_torch_in_the_environment_is_not_left_to_hide_a_better_one_around_it(
    machine: Machine, tmp_path: Path
) -> None:
    machine.make_venv()
    machine.has_torch("2.14.0+cu130", tmp_path / "site", cuda="13.0")
    machine.has_torch("2.13.0+cpu", machine.checkout.venv / "lib", python=str(machine.checkout.python))
    machine.prepare(gpu=Gpu((13, 0), (8, 9)))
    assert not (machine.checkout.venv / "wan22-inherited.pth").exists()
    assert [line for line in machine.commands.done if "--no-deps" in line]


def test_surroundings_that_do_not_go_with_the_project_are_left_out_again(machine: Machine, tmp_path: Path) -> None:
    machine.has_torch("2.14.0", tmp_path / "site")
    machine.commands.replies["UMT5EncoderModel"] = Answer(1, err="RuntimeError: operator torchvision::nms")
    machine.prepare()
    assert not (machine.checkout.venv / "wan22-inherited.pth").exists()
    assert [line for line in machine.commands.done if line.endswith("--no-deps torch==2.13.0+cpu")]
    assert machine.commands.done[-1].endswith(f"-c {machine.checkout.constraints} -e {machine.checkout.root}")


def test_an_environment_whose_python_is_gone_is_made_anew(machine: Machine) -> None:
    machine.prepare()
    machine.checkout.python.unlink()
    machine.prepare()
    assert any("made anew" in line for line in machine.said)


def test_an_environment_of_an_unfit_python_is_made_anew(machine: Machine) -> None:
    machine.make_venv()
    looks = iter([Answer(0, "3 9\n")])
    machine.commands.replies["import sys, pip"] = lambda: next(looks, Answer(0, "3 12\n"))
    machine.prepare()
    assert any("-m venv" in line for line in machine.commands.asked)


def test_a_folder_that_is_no_environment_is_never_removed(machine: Machine) -> None:
    (machine.checkout.venv).mkdir()
    (machine.checkout.venv / "thesis.txt").write_text("years")
    with pytest.raises(SetupFailed, match="move it elsewhere"):
        machine.prepare()
    assert (machine.checkout.venv / "thesis.txt").read_text() == "years"


def test_a_debian_without_venv_is_told_what_to_install(machine: Machine) -> None:
    machine.commands.replies["-m venv"] = Answer(1, "The virtual environment was not created because ensurepip is not")
    with pytest.raises(SetupFailed, match="apt-get install python3-venv"):
        machine.prepare()


def test_a_pip_that_fails_leaves_no_stamp_and_is_quoted_with_the_cure(machine: Machine) -> None:
    machine.commands.replies["-m pip install"] = Answer(1, "ERROR: No space left on device")
    with pytest.raises(SetupFailed, match=r"(?s)No space left.*Check the network"):
        machine.prepare()
    assert Stamp.read(machine.checkout.stamp) == Stamp()


def test_of_what_pip_says_only_large_downloads_are_told(machine: Machine) -> None:
    told = "Collecting regex\n  Downloading regex.whl (290 kB)\n  Downloading torch-2.13.0.whl (526.6 MB)\nInstalling"
    machine.commands.replies["-m pip install"] = Answer(0, told)
    machine.prepare()
    assert {line.strip() for line in machine.said if "oading" in line} == {"Downloading torch-2.13.0.whl (526.6 MB)"}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"key": 1}', '{"key": "a", "extras": 3}'])
def test_a_stamp_that_can_not_be_read_covers_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "stamp").write_text(text)
    assert Stamp.read(tmp_path / "stamp") == Stamp()


def test_the_projects_own_files_name_the_torch() -> None:
    root = Path(__file__).parents[2]
    assert pinned_torch((root / "scripts/constraints.txt").read_text()).startswith("torch==2.")
    assert oldest_torch((root / "pyproject.toml").read_text()) >= (2, 10)


@pytest.mark.parametrize("read", [pinned_torch, oldest_torch])
def test_files_that_name_no_torch_are_refused(read: object) -> None:
    with pytest.raises(SetupFailed, match="restore"):
        read("nothing here")
