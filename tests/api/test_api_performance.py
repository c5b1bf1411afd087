"""Optimizations by HTTP: what is told of them is true of the machine, and what is asked for is done or refused."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from api_kit import LAPTOP, URL, open_services, settings_for
from starlette.testclient import TestClient

from wan22.api.app import create_app
from wan22.hardware.machine import Gpu
from wan22.models.variants import Models
from wan22.orchestrator import tuning as tuning_module
from wan22.orchestrator.optimizations.advisor import Advisor
from wan22.orchestrator.optimizations.registry import BY_ID
from wan22.orchestrator.planning import Planner
from wan22.orchestrator.tuning import Tuning

LISTED, OPTIMIZE = "/api/v1/performance/optimizations", "/api/v1/performance/optimize"
RTX_4080 = Gpu(0, "RTX 4080", 17_171_480_576, 16_000_000_000, (8, 9))
WITH_GPU = replace(LAPTOP, gpus=(RTX_4080,), torch_version="2.13.0", torch_cuda="12.8")


@pytest.fixture
def gpu_client(tmp_path: Path, closing: ExitStack, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """Of a server on a machine with a GPU, whose device is free."""
    monkeypatch.setattr(tuning_module, "limit_vram", lambda *_: None)
    monkeypatch.setattr(Advisor, "measure", lambda *_: None)  # there is no such GPU to measure on
    settings = settings_for(tmp_path)
    tuning = Tuning(settings.device, lambda: WITH_GPU)
    planner = Planner(Models(settings.models, tmp_path / "models"), settings.device, lambda: WITH_GPU)
    advisor = Advisor(settings, planner, tuning, lambda: WITH_GPU, settings.storage.gains_path)

    async def between(work: Callable[[], None]) -> None:
        work()

    services = open_services(settings, closing, tuning=tuning, planner=planner, advisor=advisor, between=between)
    return TestClient(create_app(services), base_url=URL)


def outcomes(client: TestClient, **body: Any) -> dict[str, str]:
    answer = client.post(OPTIMIZE, json=body)
    assert answer.status_code == 200, answer.text
    return {one["id"]: one["outcome"] for one in answer.json()["optimizations"]}


def test_all_are_listed_with_their_reasons(client: TestClient) -> None:
    found = client.get(LISTED).json()["optimizations"]
    assert [one["id"] for one in found] == list(BY_ID)
    assert all(one["why"] for one in found)
    assert {one["gain"] for one in found} == {None}, "nothing was measured"


def test_one_is_turned_off_and_on(gpu_client: TestClient) -> None:
    assert outcomes(gpu_client, optimizations=["vram-budget"]) == {"vram-budget": "already_active"}
    assert outcomes(gpu_client, optimizations=["vram-budget"], undo=True) == {"vram-budget": "undone"}
    assert outcomes(gpu_client, optimizations=["vram-budget"], undo=True) == {"vram-budget": "already_off"}
    assert outcomes(gpu_client, optimizations=["vram-budget"], dry_run=True) == {"vram-budget": "applied"}
    states = {one["id"]: one["state"] for one in gpu_client.get(LISTED).json()["optimizations"]}
    assert states["vram-budget"] == "off", "a dry run changes nothing"
    assert outcomes(gpu_client)["vram-budget"] == "applied"


def test_what_can_not_be_is_told(gpu_client: TestClient) -> None:
    found = outcomes(gpu_client, undo=True, dry_run=True)
    assert found["tensor-cores"] == "always_on"
    assert found["numa-placement"] == "not_applicable"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"optimizations": ["vram-budgets"]}, "optimizations"),
        ({"optimizations": "vram-budget"}, "optimizations"),
        ({"optimizations": [1]}, "optimizations.0"),
        ({"dry": True}, "dry"),
        ({"dry_run": "no"}, "dry_run"),
    ],
)
def test_a_wrong_body_names_its_field(client: TestClient, body: dict[str, Any], field: str) -> None:
    answer = client.post(OPTIMIZE, json=body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_while_a_task_runs_nothing_is_changed(client: TestClient) -> None:
    assert client.post(OPTIMIZE, json={}).status_code == 409
    assert client.post(OPTIMIZE, json={"dry_run": True}).status_code == 200
