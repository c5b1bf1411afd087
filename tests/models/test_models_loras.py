"""The LoRA folders are listed by safe names, the files of a pair as one, and no file outside of them is looked at."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from loras_kit import HOSTILE, LAYERS, is_safe, lora, write

from wan22.errors import InvalidRequest
from wan22.models.loras import files as lora_files
from wan22.models.loras.folders import Lora, Loras


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "loras"


def shelf(home: Path, *names: str) -> dict[str, Lora]:
    """What is offered of files with these names."""
    for name in names:
        write(home / f"{name}.safetensors")
    return dict(Loras([home]).scan())


def halves(lora: Lora) -> tuple[str | None, str | None, str | None]:
    return tuple(file and file.path.stem for file in (lora.high, lora.low, lora.single))  # type: ignore[return-value]


def test_folders_that_are_not_there_are_empty(home: Path) -> None:
    assert Loras([]).scan() == Loras([home, home / "b"]).scan() == {}


@pytest.mark.parametrize(
    ("high", "low", "name"),
    [
        ("cat_high_noise", "cat_low_noise", "cat"),
        ("cat-HIGH-v2", "cat-LOW-v2", "cat_v2"),
        ("cat_h", "cat_l", "cat"),
        ("Cat-HN", "cat-ln", "Cat"),
        ("high_contrast", "low_contrast", "contrast"),
        ("Seko-V1.1/high_noise_model", "Seko-V1.1/low_noise_model", "Seko-V1_1"),
        ("HighNoise/cat", "LowNoise/cat", "cat"),
        ("cat_high/pytorch_lora_weights", "cat_low/pytorch_lora_weights", "cat"),
        ("wan_HIGH_4step", "wan_LOW_4step", "wan_4step"),
        ("high", "low", "lora"),
    ],
)
def test_names_equal_but_for_the_experts_word_are_a_pair(home: Path, high: str, low: str, name: str) -> None:
    offered = shelf(home, high, low)
    assert list(offered) == [name]
    pair = offered[name]
    assert halves(pair) == (Path(high).name, Path(low).name, None)
    assert (pair.name, pair.notes, pair.problem) == (name, (), None)
    assert pair.for_expert("high") is pair.high
    assert pair.for_expert("low") is pair.low
    assert pair.for_expert(None) is None


def test_of_another_programs_folder_only_what_is_for_wan_is_offered(home: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "ComfyUI/models/loras"
    write(theirs / "cat.safetensors")
    write(theirs / "wan/cat_high_noise.safetensors")
    write(theirs / "wan/cat_low_noise.safetensors")
    (theirs / "flux.safetensors").write_bytes(b"not one")
    (theirs / "old.ckpt").write_bytes(b"a pickle")
    assert {"flux", "old"} <= Loras([theirs]).scan().keys()
    assert len(Loras([home], lent=[theirs]).scan()) == 2
    own = write(home / "cat.safetensors").resolve()
    offered = Loras([home], lent=[theirs]).scan()
    assert [file.path for file in offered["cat"].files] == [own]
    assert len(offered) == 3


def test_a_single_file_is_for_every_transformer(home: Path) -> None:
    cat = shelf(home, "cat")["cat"]
    assert [cat.for_expert("high"), cat.for_expert("low"), cat.for_expert(None)] == [cat.single] * 3
    assert len(cat.files) == 1
    assert len(cat.files[0].layers) == LAYERS


@pytest.mark.parametrize(("name", "here", "other"), [("cat_high_noise", "high", "low"), ("cat_low", "low", "high")])
def test_a_lone_half_says_so(home: Path, name: str, here: str, other: str) -> None:
    cat = shelf(home, name)["cat"]
    assert cat.notes[0].startswith(f"Only the half for the {here}-noise expert is here, ")
    assert cat.notes[0].endswith(f" named alike but for {other}_noise.")
    assert cat.for_expert(other) is None  # type: ignore[arg-type]  # one of the two words


@pytest.mark.parametrize("name", ["low_poly", "cat_h", "high_contrast", "slow"])
def test_a_doubtful_word_without_its_other_half_is_a_part_of_the_name(home: Path, name: str) -> None:
    assert halves(shelf(home, name)[name]) == (None, None, name)


def test_halves_of_different_names_or_folders_are_no_pair(home: Path) -> None:
    offered = shelf(home, "a/cat_high_noise", "b/cat_low_noise", "dog_high_noise-10", "dog_low_noise-8")
    assert sorted(offered) == ["b_cat", "cat", "dog_10", "dog_8"]


def test_metadata_tells_the_expert_where_names_do_not(home: Path) -> None:
    write(home / "cat.safetensors", metadata={"modelspec.timestep_range": "875,1000"})
    write(home / "dog.safetensors", metadata={"ss_output_name": "dog_low_noise"})
    write(home / "cow.safetensors", {key.replace("diffusion_model", "transformer_2"): s for key, s in lora().items()})
    offered = shelf(home)
    assert [halves(offered[name]) for name in ("cat", "dog", "cow")] == [
        ("cat", None, None),
        (None, "dog", None),
        (None, "cow", None),
    ]


def test_the_notes_of_the_files_and_few_steps_are_told_of_the_pair(home: Path) -> None:
    extra = lora() | {"diffusion_model.blocks.0.cross_attn.k_img.diff_b": (8,)}
    for expert in ("high", "low"):
        write(home / f"Wan2.2-4steps/{expert}_noise_model.safetensors", extra)
    pair = shelf(home)["Wan2_2-4steps"]
    assert pair.few_step == 4
    assert [note.split(" are ")[0] for note in pair.notes] == ["1 tensors"]


def test_a_second_file_for_the_same_half_is_offered_apart(home: Path) -> None:
    offered = shelf(home, "cat_high", "cat_HighNoise", "cat_low")
    assert sorted(bool(one.high and one.low) for one in offered.values()) == [False, True]
    assert sum(len(one.files) for one in offered.values()) == 3


def test_a_broken_half_is_not_silently_left_out(home: Path) -> None:
    write(home / "cat_high.safetensors")
    (home / "cat_low.safetensors").write_bytes(b"\x80\x04")
    cat = shelf(home)["cat"]
    assert cat.high is not None
    assert "damaged" in str(cat.problem)


def test_bad_files_are_listed_and_stop_nothing(home: Path) -> None:
    write(home / "good.safetensors")
    (home / "cut.safetensors").write_bytes((home / "good.safetensors").read_bytes()[:-1])
    (home / "good.pt").write_bytes(b"\x80\x04")
    (home / "notes.txt").write_text("not one", "utf-8")
    offered = shelf(home)
    assert offered["good"].problem is None, "a bad file takes no name from a good one"
    assert sorted(bool(one.problem) for one in offered.values()) == [False, True, True]


def test_hidden_files_are_passed_over(home: Path) -> None:
    assert list(shelf(home, "._cat", ".cache/cat", "cat")) == ["cat"]


def where(loras: Loras) -> dict[str, str]:
    """The first file of each name."""
    return {name: str(one.files[0].path) for name, one in loras.scan().items()}


def test_a_name_is_the_file_s_in_the_first_folder_that_has_one(tmp_path: Path) -> None:
    a, b, shipped = (str(write(tmp_path / folder / "cat.safetensors").resolve()) for folder in ("a", "b", "package"))
    both = where(Loras([tmp_path / "b", tmp_path / "a", tmp_path / "b"]))
    second = next(name for name in both if name.startswith("cat-"))
    assert both == {"cat": b, second: a}
    three = where(Loras([tmp_path / "b", tmp_path / "a"], shipped=[tmp_path / "package"]))
    assert three["cat"] == shipped
    assert three[second] == a, "a suffix is the file's own"


def test_in_a_folder_the_outer_file_has_the_name(home: Path) -> None:
    for name in ("z/cat", "a/cat", "cat"):
        write(home / f"{name}.safetensors")
    named = where(Loras([home]))
    assert {name: str(Path(path).relative_to(home.resolve())) for name, path in named.items()} == {
        "cat": "cat.safetensors",
        "a_cat": str(Path("a/cat.safetensors")),
        "z_cat": str(Path("z/cat.safetensors")),
    }


def test_a_pair_with_a_suffix_has_the_one_of_its_first_half(home: Path, tmp_path: Path) -> None:
    write(tmp_path / "first/cat.safetensors")
    loras = Loras([tmp_path / "first", home])
    write(home / "cat_low_noise.safetensors")
    names = list(loras.scan())
    write(home / "cat_high_noise.safetensors")
    assert list(loras.scan()) == names


def test_a_damaged_file_keeps_its_name(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write(tmp_path / folder / "cat.safetensors")
    loras = Loras([tmp_path / "a", tmp_path / "b"])
    names = list(loras.scan())
    (tmp_path / "a/cat.safetensors").write_bytes(b"cut")
    assert list(loras.scan()) == names
    assert loras.scan()["cat"].problem, "a request for it is refused, and gets no other"


def test_a_file_that_is_in_two_of_the_folders_is_one(home: Path) -> None:
    shelf(home, "deep/cat")
    assert list(Loras([home, home / "deep"]).scan()) == ["cat"]


@pytest.mark.parametrize(
    ("there", "arrives", "renamed"),
    [
        (["sub/cat"], "cat", "cat"),
        (["cat_high", "cat_low"], "cat", "cat"),
        (["cat_high", "cat_low"], "cat_HighNoise", "cat"),
        (["cat"], "cat_high", None),
        (["cat_high"], "cat_low", None),
        (["low_poly"], "high_poly", None),  # a pair now, under another name
        (["cat"], "cat", None),
        (["cat"], "dog", None),
    ],
)
def test_what_an_arrival_would_rename_is_known(home: Path, there: list[str], arrives: str, renamed: str | None) -> None:
    shelf(home, *there)
    elsewhere = write(home.parent / "elsewhere.safetensors")
    arrival = replace(lora_files.read(elsewhere), path=home.resolve() / f"{arrives}.safetensors")
    found = Loras([home]).renamed_by(arrival)
    assert (found and found.name) == renamed


def test_a_pickle_keeps_no_name_from_the_file_that_it_was_made_into(home: Path) -> None:
    arrival = replace(lora_files.read(write(home.parent / "x.safetensors")), path=home.resolve() / "cat.safetensors")
    home.mkdir()
    (home / "cat.pt").write_bytes(b"\x80\x04")
    assert list(Loras([home]).scan()) == ["cat"]
    assert Loras([home]).renamed_by(arrival) is None


def test_hostile_file_names_are_offered_under_safe_ones(home: Path) -> None:
    good = write(home / "good.safetensors").read_bytes()
    for text in HOSTILE:
        name = f"x{text[:60]}".replace("/", "").replace("\0", "")
        with contextlib.suppress(OSError, ValueError):  # not every system has every name
            (home / f"{name}.safetensors").write_bytes(good)
    offered = shelf(home)
    assert sum(len(one.files) for one in offered.values()) == len(list(home.iterdir())) > 20
    assert all(is_safe(name) for name in offered)
    assert offered["x_img_src_x_onerror_alert_1"].single is not None


@pytest.mark.parametrize("name", [*HOSTILE, "CAT", "cat.safetensors", "./cat", "loras/cat", "cat/", "Cat"])
def test_only_exact_names_are_found(home: Path, name: str) -> None:
    write(home.parent / "outside.safetensors")
    shelf(home, "cat", "../outside_too")
    assert Loras([home]).find(name) is None
    with pytest.raises(InvalidRequest) as refusal:
        Loras([home]).get(name, field="loras.0.name")
    (error,) = refusal.value.errors
    assert error.field == "loras.0.name"
    assert error.message.startswith("There is no LoRA of that name; ")
    assert error.message.endswith("`GET /api/v1/models/loras` lists all that are there.")


def test_get_suggests_what_is_like_it_or_where_to_put_them(home: Path) -> None:
    shelf(home, "watercolour", "noir")
    assert Loras([home]).get("noir").name == "noir"
    with pytest.raises(InvalidRequest, match=r"; did you mean watercolour\? `GET /api/v1/models/loras` lists all "):
        Loras([home]).get("watercolor")
    with pytest.raises(InvalidRequest, match="of that name; `GET /api/v1/models/loras` lists all that are there"):
        Loras([home]).get("xyz")
    with pytest.raises(InvalidRequest, match="put safetensors files into the LoRA folder"):
        Loras([]).get("noir")


@pytest.mark.parametrize(
    "said", ["OK", "ok.safetensors", "Ok.SAFETENSORS", " ok ", "Wan2.2 ok v1.safetensors", "wan2_2_OK_V1"]
)
def test_one_that_is_meant_by_its_file_or_in_another_case_is_proposed_alone(home: Path, said: str) -> None:
    shelf(home, "ok", "Wan2.2 ok v1", *(f"{letter}_ok" for letter in "abcdefgh"))
    meant = "Wan2_2_ok_v1" if "wan" in said.lower() else "ok"
    with pytest.raises(InvalidRequest, match=rf"did you mean {meant}\? "):
        Loras([home]).get(said)


def link(path: Path, target: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.symlink_to(target, target_is_directory=target.is_dir())
    except OSError:
        pytest.skip("this system lets this user make no links")


def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are opened from now on, as links lead to them."""
    paths: list[Path] = []
    real: Callable[..., Any] = lora_files.safe_open

    def noting(path: Path, **options: Any) -> Any:
        paths.append(path.resolve())
        return real(path, **options)

    monkeypatch.setattr(lora_files, "safe_open", noting)
    return paths


def test_links_out_of_the_folder_are_listed_and_not_followed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    canary = write(home.parent / "outside/canary.safetensors")
    link(home / "file.safetensors", canary)
    link(home / "up.safetensors", Path("../outside/canary.safetensors"))
    link(home / "folder", canary.parent)
    looked = opened(monkeypatch)
    offered = shelf(home)
    assert sorted(offered) == ["file", "up"]
    assert all("is not followed; " in str(one.problem) for one in offered.values())
    assert looked == []


def test_links_inside_the_folder_are_followed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = write(home / "cat.safetensors")
    link(home / "tom.safetensors", target)
    looked = opened(monkeypatch)
    assert all(one.problem is None for one in shelf(home).values())
    assert looked == [target.resolve()] * 2


def test_a_folder_that_can_not_be_listed_is_told_and_one_that_is_not_there_is_not(home: Path) -> None:
    shelf(home, "deep/cat")
    standing = home.parent / "standing"
    standing.write_bytes(b"a file in the place of a folder")
    (why,) = Loras([home, home.parent / "gone", standing]).unreadable().items()
    assert why == (standing.resolve(), os.strerror(errno.ENOTDIR))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root lists everything")
def test_a_folder_without_rights_is_told(home: Path) -> None:
    shelf(home, "deep/cat")
    (home / "deep").chmod(0)
    assert list(Loras([home]).unreadable()) == [home.resolve() / "deep"]
    (home / "deep").chmod(0o700)


def test_links_in_circles_and_to_nowhere_end(home: Path) -> None:
    write(home / "cat.safetensors")
    link(home / "folder/again", home)
    link(home / "a.safetensors", home / "b.safetensors")
    link(home / "b.safetensors", home / "a.safetensors")
    link(home / "gone.safetensors", home / "nowhere.safetensors")
    offered = shelf(home)
    assert sorted(offered) == ["a", "b", "cat", "gone"]
    assert [name for name, one in offered.items() if not one.problem] == ["cat"]


def test_a_folder_may_be_a_link_itself(home: Path) -> None:
    write(home.parent / "elsewhere/cat.safetensors")
    link(home, home.parent / "elsewhere")
    assert shelf(home)["cat"].problem is None


def test_hundreds_of_files_are_opened_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = write(home / "a0.safetensors", lora(names=["ffn.0"], blocks=1)).read_bytes()
    for n in range(1, 300):
        (home / f"a{n}.safetensors").write_bytes(content)
    looked = opened(monkeypatch)
    loras = Loras([home])
    assert len(loras.scan()) == len(looked) == 300
    assert loras.scan() == loras.scan()
    assert len(looked) == 300


def test_a_file_that_arrives_or_goes_is_seen_at_once(home: Path) -> None:
    loras = Loras([home])
    assert loras.find("cat") is None
    path = write(home / "cat.safetensors")
    assert loras.find("cat") is not None
    path.unlink()
    assert loras.find("cat") is None
