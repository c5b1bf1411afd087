"""What `doctor` finds on machines of every kind, each with its cure."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.applications import Starlette
from typer.testing import CliRunner

from wan22.cli import checks
from wan22.cli.app import app
from wan22.cli.background import served
from wan22.cli.finding import Finding, size_words
from wan22.cli.model_checks import check_models, verdict_on
from wan22.hardware.choose import choose_device
from wan22.hardware.machine import Gpu, Machine
from wan22.models.catalogue import SPECS
from wan22.models.demo_weights import KNOWN
from wan22.settings import load_settings
from wan22.tasks import ModelType

GB = 10**9
CARD = Gpu(0, "NVIDIA GeForce RTX 4080", 16 * GB, 15 * GB, (8, 9), "552.22")
BARE = Machine("Linux", "a CPU", 8, 64 * GB, 60 * GB, (), "2.13.0+cpu", None, cpu_bf16_fast=False)
STUDIO = replace(BARE, gpus=(CARD,), torch_version="2.13.0", torch_cuda="13.0")


def states(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.name, finding.state) for finding in findings]


@pytest.mark.parametrize(
    ("machine", "answer", "state", "words"),
    [
        (BARE, ["2.13.0+cpu", "None", "False"], "ok", "built for CPU"),
        (STUDIO, ["2.13.0", "13.0", "True"], "ok", "built for CUDA 13.0"),
        (STUDIO, ["2.13.0", "None", "False"], "warn", "CUDA build"),
        (STUDIO, ["2.13.0", "13.0", "False"], "warn", "driver"),
        (STUDIO, [], "fail", "can't be imported: OSError: no DLL"),
    ],
)
def test_torch_is_judged_beside_the_gpu(machine: Machine, answer: list[str], state: str, words: str) -> None:
    finding = checks.judge_torch(machine, answer, "Traceback\nOSError: no DLL")
    assert finding.state == state
    assert words in finding.text + finding.cure


def test_torch_that_is_not_installed() -> None:
    assert checks.check_torch(replace(BARE, torch_version=None)).state == "fail"


def test_gpus() -> None:
    busy = replace(CARD, index=1, vram_free_bytes=GB)
    assert states(list(checks.check_gpus(BARE))) == [("gpu", "warn")]
    assert states(list(checks.check_gpus(replace(STUDIO, gpus=(CARD, busy))))) == [
        ("gpu 0", "ok"),
        ("gpu 1", "warn"),
    ]


def test_windows_is_told_of_the_trap_in_its_driver() -> None:
    assert not list(checks.check_sysmem_fallback(STUDIO))
    [finding] = checks.check_sysmem_fallback(replace(STUDIO, os="Windows 10"))
    assert "Prefer No Sysmem Fallback" in finding.cure


def test_memory() -> None:
    assert checks.check_memory(BARE).state == "ok"
    assert checks.check_memory(replace(BARE, ram_available_bytes=GB)).state == "warn"


def test_a_home_that_is_full_or_no_folder(tmp_path: Path) -> None:
    full = load_settings(storage={"home": tmp_path / "new" / "home", "min_free_bytes": 10**18})
    assert checks.check_home(full).state == "fail"
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").write_text("")
    assert checks.check_home(load_settings(storage={"home": tmp_path / "file"})).state == "fail"


def test_what_every_installation_brings() -> None:
    assert [check().state for check in (checks.check_python, checks.check_ffmpeg, checks.check_sqlite)] == ["ok"] * 3


def test_the_port(server: str) -> None:
    port = int(server.rpartition(":")[2])
    assert "WAN22 server answers" in checks.check_port(load_settings(server={"port": port})).text
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert checks.check_port(load_settings(server={"port": port})).text == f"{port} on 127.0.0.1 is free"


def test_a_port_that_a_stranger_has() -> None:
    with served(Starlette(routes=[])) as url:
        settings = load_settings(server={"port": int(url.rpartition(":")[2])})
        assert checks.check_port(settings).state == "warn"


def test_models_of_a_bare_machine(tmp_path: Path) -> None:
    settings = load_settings(storage={"home": tmp_path})
    findings = list(check_models(BARE, settings))
    names = ("device", "T2V-A14B", "I2V-A14B", "TI2V-5B", "demo weights")
    assert states(findings) == [(name, "ok") for name in names]
    assert all("demo weights are in use" in finding.text for finding in findings[1:4])
    assert all("takes hours" in finding.text for finding in findings[1:4])
    assert findings[4].text == KNOWN
    cure = findings[1].cure
    assert "Wan-AI/Wan2.2-T2V-A14B-Diffusers" in cure
    assert str(tmp_path / "models" / "t2v-A14B" / "dev") in cure


def judged(machine: Machine, **device: str) -> dict[str, tuple[str, ...]]:
    """What speaks against the real weights of each model."""
    settings = load_settings(device=device).device
    device_name = choose_device(machine, settings.device)
    return {
        spec.model_type.value: verdict_on(spec, machine, device_name, settings).obstacles for spec in SPECS.values()
    }


def test_much_ram_and_a_16_gb_card_are_enough_for_all() -> None:
    assert set(judged(replace(STUDIO, ram_total_bytes=128 * GB)).values()) == {()}


def test_ram_that_is_too_small_is_told_with_both_figures() -> None:
    """Two experts, the text encoder and the VAE: (2 x 14.29 + 5.68 + 0.13) G numbers of 2 bytes."""
    against = judged(STUDIO)
    assert against["T2V-A14B"] == ("68.8 GB of RAM are needed, there are 64.0 GB",)
    assert against["TI2V-5B"] == ()
    assert "137.5 GB of RAM are needed" in judged(BARE)["T2V-A14B"][0], "a CPU computes in fp32"


def test_weights_in_8_bits_are_judged_by_their_own_bytes() -> None:
    settings = load_settings().device
    kept = verdict_on(SPECS[ModelType.T2V_A14B], STUDIO, "cuda:0", settings, stored="int8")
    assert kept.obstacles == ()
    assert str(kept).startswith("fit: 40.4 GB, int8 on cuda:0, waiting in RAM for their turns on the GPU")
    old = replace(CARD, name="Tesla T4", compute_capability=(7, 5))
    refused = verdict_on(SPECS[ModelType.TI2V_5B], replace(STUDIO, gpus=(old,)), "cuda:0", settings, stored="int8")
    assert any("overflows in fp16" in obstacle for obstacle in refused.obstacles)


def test_a_card_that_is_too_small_or_too_old() -> None:
    small = replace(CARD, vram_total_bytes=8 * GB)
    old = replace(CARD, name="Tesla T4", compute_capability=(7, 5))
    against = judged(replace(STUDIO, ram_total_bytes=256 * GB, gpus=(small,)))
    assert against["I2V-A14B"] == ("10.0 GB of VRAM are needed, there are 8.0 GB",)
    assert against["TI2V-5B"] == ()
    against = judged(replace(STUDIO, ram_total_bytes=256 * GB, gpus=(old,)))
    assert against["T2V-A14B"] == ("compute capability 8.0 is needed, Tesla T4 has 7.5",)
    assert against["TI2V-5B"] == ()


def test_a_card_that_holds_all_needs_no_ram_for_it() -> None:
    large = replace(CARD, vram_total_bytes=144 * GB)
    assert judged(replace(STUDIO, ram_total_bytes=32 * GB, gpus=(large,)))["T2V-A14B"] == ()


def put_real_weights(folder: Path) -> None:
    """What looks like whole weights of TI2V-5B."""
    configs = {"tokenizer": "tokenizer_config.json", "scheduler": "scheduler_config.json"}
    names = SPECS[ModelType.TI2V_5B].components
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / configs.get(name, "config.json")).write_text("{}")
        stem = "model" if name == "text_encoder" else "diffusion_pytorch_model"
        (folder / name / f"{stem}.safetensors").write_bytes(b"weights")
    (folder / "model_index.json").write_text(json.dumps({name: ["diffusers", name] for name in names}))


def test_real_weights_that_are_left_aside_are_told(tmp_path: Path) -> None:
    put_real_weights(tmp_path / "ti2v-5b" / "dev")
    dirs = {"models_dirs": [tmp_path]}
    used = list(check_models(BARE, load_settings(storage={"home": tmp_path}, models=dirs)))[3]
    told = f"The real weights of TI2V-5B (dev) are in {tmp_path / 'ti2v-5b' / 'dev'}."
    assert (used.state, used.text.partition(" They don't")[0]) == ("warn", told)
    aside = load_settings(storage={"home": tmp_path}, models={**dirs, "variant": "demo"})
    assert "set models.variant to auto" in list(check_models(BARE, aside))[3].cure


def test_sizes_in_words() -> None:
    assert [size_words(size) for size in (0, 4_120_000, 999_900_000, GB)] == ["0.0 kB", "4.1 MB", "999.9 MB", "1.0 GB"]


def test_real_weights_that_are_asked_for_and_missing(tmp_path: Path) -> None:
    settings = load_settings(storage={"home": tmp_path}, models={"variant": "dev"})
    missing = list(check_models(BARE, settings))[1:]
    assert {finding.state for finding in missing} == {"fail"}
    assert all("models.variant" in finding.text + finding.cure for finding in missing)


def test_a_device_that_is_not_there(tmp_path: Path) -> None:
    [finding] = check_models(BARE, load_settings(storage={"home": tmp_path}, device={"device": "cuda"}))
    assert (finding.name, finding.state) == ("device", "fail")


def test_the_command_prints_json_and_fails_with_1(tmp_path: Path) -> None:
    wanted = tmp_path / "wan22.toml"
    wanted.write_text('[models]\nvariant = "dev"\n[storage]\nmin_free_bytes = 0\n')
    result = CliRunner().invoke(app, ["doctor", "--json", "--home", str(tmp_path), "--config", str(wanted)])
    told = json.loads(result.stdout)
    assert (result.exit_code, told["ok"]) == (1, False)
    assert {finding["name"] for finding in told["findings"] if finding["state"] == "fail"} == {
        "T2V-A14B",
        "I2V-A14B",
        "TI2V-5B",
    }


def test_the_command_gives_each_cure_a_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["doctor", "--home", str(tmp_path)])
    assert result.exit_code == 0
    assert result.stdout.startswith("ok    python: Python 3.")


def test_a_card_in_a_narrow_slot_is_told_and_the_memory_s_parts_are() -> None:
    card = Gpu(0, "NVIDIA GeForce RTX 4080", 16 * GB, 15 * GB, (8, 9), pcie=(4, 4))
    (found,) = checks.check_gpus(replace(BARE, gpus=(card,)))
    assert (found.state, "PCIe 4.0 with 4 lanes" in found.text) == ("warn", True)
    (found,) = checks.check_gpus(replace(BARE, gpus=(replace(card, pcie=(4, 16)),)))
    assert found.state == "ok"
    told = checks.check_memory(replace(BARE, swap_bytes=8 * GB, numa_nodes=4)).text
    assert "8.0 GB of swap, in 4 NUMA nodes" in told
