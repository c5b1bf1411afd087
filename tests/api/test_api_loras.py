"""LoRAs by HTTP: listed with what they fit, asked for by name, refused with the reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from api_kit import BODY, SUBMIT
from starlette.testclient import TestClient
from support.loras import lora_for, write

from wan22.api.services import Services
from wan22.tasks import ModelType

LORAS = "/api/v1/models/loras"


@pytest.fixture
def folder(services: Services) -> Path:
    """The server's own folder, with a pair for T2V-A14B, one file for TI2V-5B and a pickle."""
    folder = services.settings.storage.loras_dir
    for expert in ("high", "low"):
        lora_for(ModelType.T2V_A14B, folder / f"dusk_{expert}_noise.safetensors")
    lora_for(ModelType.TI2V_5B, folder / "snow.safetensors")
    (folder / "old.ckpt").write_bytes(b"\x80\x04")
    return folder


@pytest.mark.usefixtures("folder")
def test_the_list_has_pairs_as_one_and_says_what_they_fit(client: TestClient) -> None:
    listed = {lora["name"]: lora for lora in client.get(LORAS).json()["loras"]}
    assert list(listed) == ["dusk", "old", "snow"]
    assert [file["expert"] for file in listed["dusk"]["files"]] == ["high", "low"]
    assert listed["dusk"]["fits"] == ["T2V-A14B", "I2V-A14B"]  # their transformers have the same layers
    assert list(listed["dusk"]["misfits"]) == ["TI2V-5B"]
    assert listed["dusk"]["misfits"]["TI2V-5B"].startswith("It is made for one of two experts, ")
    assert listed["snow"]["fits"] == ["TI2V-5B"]
    assert listed["old"]["misfits"] == {}, "its problem says it for all"
    assert listed["old"]["problem"]
    assert listed["old"]["fits"] == []


def test_one_of_real_size_says_what_it_was_made_for(client: TestClient, services: Services) -> None:
    layer = "transformer.blocks.0.attn1.to_q"
    for name, width in (("large", 5120), ("small", 3072), ("other", 128)):
        tensors = {f"{layer}.lora_A.weight": np.zeros((1, width)), f"{layer}.lora_B.weight": np.zeros((width, 1))}
        write(services.settings.storage.loras_dir / f"{name}.safetensors", tensors)
    listed = {lora["name"]: lora for lora in client.get(LORAS).json()["loras"]}
    assert {name: lora["base_model"] for name, lora in listed.items()} == {
        "large": "A14B",
        "small": "5B",
        "other": None,
    }
    assert listed["large"]["fits"] == []
    assert set(listed["large"]["misfits"]) == {"T2V-A14B", "I2V-A14B", "TI2V-5B"}
    assert all("made for 5120 wide transformers (A14B)" in why for why in listed["large"]["misfits"].values())


def test_a_new_file_is_in_the_next_answer(client: TestClient, services: Services) -> None:
    answer = client.get(LORAS).json()
    assert answer == {"loras": [], "folders": [str(services.settings.storage.loras_dir)], "problems": []}
    lora_for(ModelType.TI2V_5B, Path(answer["folders"][0]) / "new.safetensors")
    assert [lora["name"] for lora in client.get(LORAS).json()["loras"]] == ["new"]


def test_a_folder_that_can_not_be_read_is_told(client: TestClient, services: Services) -> None:
    folder = services.settings.storage.loras_dir
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_bytes(b"a file in its place")
    (problem,) = client.get(LORAS).json()["problems"]
    assert problem.startswith(f"The folder {folder} can't be read (")
    assert problem.endswith("check that it is a folder that the server's account may read.")
    sent = client.post(LORAS, files={"file": ("a.safetensors", b"x")})
    assert (sent.status_code, sent.json()["code"]) == (500, "server_fault")
    assert sent.json()["hint"].startswith("Remove what stands in its place")
    assert "500" in client.get("/openapi.json").json()["paths"][LORAS]["post"]["responses"]


@pytest.mark.usefixtures("folder")
def test_a_task_says_which_it_uses_and_how(client: TestClient) -> None:
    task = client.post(SUBMIT, json={**BODY, "loras": [{"name": "dusk", "weight_low": 0.5}]}).json()
    assert task["request"]["loras"] == [{"name": "dusk", "weight": 1.0, "weight_high": None, "weight_low": 0.5}]
    (choice,) = [choice for choice in task["plan"]["choices"] if choice["what"] == "lora"]
    assert choice["choice"] == "dusk"
    assert "low-noise expert at weight 0.5" in choice["why"]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("loras", "field", "told"),
    [
        (["dask"], "loras.0", "There is no LoRA of that name; did you mean dusk? "),
        (["dusk", "snow"], "loras.1", "does not fit this model"),
        (["old"], "loras.0", "get the LoRA as a safetensors file"),
        (["../../../etc/passwd"], "loras.0", "There is no LoRA of that name"),
    ],
)
def test_what_can_not_be_put_on_is_refused_at_submit(client: TestClient, loras: Any, field: str, told: str) -> None:
    answer = client.post(SUBMIT, json={**BODY, "loras": loras, "width": 63})
    assert answer.status_code == 422
    errors = {error["field"]: error["message"] for error in answer.json()["errors"]}
    assert told in errors[field]
    assert "width" in errors  # all at once


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("said", ["dusk", json.dumps([{"name": "dusk"}]), json.dumps({"name": "dusk"})])
def test_a_form_names_them_too(client: TestClient, said: str) -> None:
    answer = client.post(SUBMIT, data={**BODY, "loras": said}, files={"x": ("", b"")})
    assert answer.status_code == 202, answer.text
    assert answer.json()["request"]["loras"][0]["name"] == "dusk"


def test_broken_json_in_a_form_is_told(client: TestClient) -> None:
    answer = client.post(SUBMIT, data={**BODY, "loras": '[{"name": '}, files={"x": ("", b"")})
    assert answer.status_code == 422
    assert "must be a name or a JSON list" in answer.text
