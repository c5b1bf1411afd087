"""What is known of the models by HTTP: true of this build and of the tasks that ran, and errors with their cures."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from api_kit import LAPTOP, URL, complete, open_services, settings_for, submitted
from starlette.testclient import TestClient

from wan22.api import model_examples
from wan22.api.app import create_app
from wan22.api.model_views import Capabilities, ModelHealth, Overview, Performance, Recommendation
from wan22.api.services import Services
from wan22.hardware.machine import Gpu
from wan22.models.capabilities import capabilities_of
from wan22.models.catalogue import SPECS
from wan22.models.comparison import Comparison
from wan22.tasks import Failure, Phase

WAN = "/api/v1/wan-models"
OF_ONE = ("capabilities", "health", "performance")
FULL = Failure(code="out_of_memory", title="Out of memory", detail="The GPU is full.", hint="Ask for less.")
RTX_4080 = Gpu(0, "RTX 4080", 17_171_480_576, 16_000_000_000, (8, 9))
WITH_GPU = replace(LAPTOP, gpus=(RTX_4080,), torch_version="2.13.0", torch_cuda="12.8")


def told(client: TestClient, path: str, **query: Any) -> dict[str, Any]:
    """The answer, which must be a 200."""
    answer = client.get(f"{WAN}/{path}", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def another(tmp_path: Path, closing: ExitStack, **changes: Any) -> TestClient:
    """A client of a server with other settings or parts."""
    rooms = changes.pop("rooms", {})
    services = open_services(settings_for(tmp_path, **rooms), closing, **changes)
    return TestClient(create_app(services), base_url=URL)


def run_one(client: TestClient, services: Services, *, steps: int = 4, **changes: Any) -> str:
    """A task that has denoised and completed."""
    submitted(client, steps=steps, **changes)
    claim = services.queue.claim()
    assert claim
    claim.reporter.phase(Phase.DENOISE)
    claim.reporter.progress(1.0, step=steps, total_steps=steps)
    services.queue.complete(claim, [], peak_vram_bytes=7)
    return claim.task.task_id


def fail_one(client: TestClient, services: Services) -> str:
    """A task that has failed."""
    submitted(client)
    claim = services.queue.claim()
    assert claim
    services.queue.fail(claim, FULL)
    return claim.task.task_id


@pytest.mark.parametrize("call", OF_ONE)
@pytest.mark.parametrize("name", ["T2V-A14B", "t2v-a14b", "Ti2V-5b"])
def test_names_are_matched_in_any_case(client: TestClient, call: str, name: str) -> None:
    assert told(client, f"{call}/{name}")["model_type"] == name.upper()


@pytest.mark.parametrize(
    "path",
    [*(f"{call}/T2V-14B" for call in OF_ONE), "compare/T2V-14B/TI2V-5B", "compare/TI2V-5B/%00x", "health/%E2%80%AE"],
)
def test_an_unknown_name_is_told_the_three(client: TestClient, path: str) -> None:
    answer = client.get(f"{WAN}/{path}")
    assert answer.status_code == 404
    assert "there are T2V-A14B, I2V-A14B and TI2V-5B." in answer.json()["detail"]
    assert answer.json()["code"] == "not_found"


@pytest.mark.parametrize("path", [*(f"{call}/T2V-A14B" for call in OF_ONE), "compare/T2V-A14B/TI2V-5B", "dashboard"])
def test_a_parameter_that_is_not_known_is_an_error(client: TestClient, path: str) -> None:
    answer = client.get(f"{WAN}/{path}", params={"verbose": "1"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "verbose"


@pytest.mark.parametrize("name", ["T2V-A14B", "I2V-A14B", "TI2V-5B"])
def test_capabilities_have_every_line(client: TestClient, name: str) -> None:
    found = told(client, f"capabilities/{name}")
    assert set(found["capabilities"]) == set(capabilities_of(SPECS[next(m for m in SPECS if m.value == name)]))
    assert found["weights"]["state"] == "demo"
    assert "enlarged to 1280x720" in str(found["capabilities"]["resolutions"]["options"])
    assert not found["capabilities"]["min_ram_bytes"]["available"]


def test_without_a_history_nothing_is_made_up(client: TestClient) -> None:
    found = told(client, "performance/T2V-A14B")
    assert found["measured"]["total_s"] == {"p50": None, "p95": None}
    assert found["measured"]["videos_per_hour"] is found["measured"]["success_rate"] is None
    assert "No task of this model has ended yet" in found["measured"]["said"]
    assert found["expected"]["total_s"] == [30, 60]
    assert found["expected"]["measured_total_s"] is None
    assert found["others"] == []


def test_performance_is_what_ran_here(client: TestClient, services: Services) -> None:
    run_one(client, services)
    run_one(client, services, width=64, height=64)
    fail_one(client, services)
    measured = told(client, "performance/T2V-A14B")["measured"]
    assert (measured["variant"], measured["device"]) == ("demo", "cpu")
    assert (measured["runs"], measured["completed"], measured["failed"]) == (3, 2, 1)
    assert {size["width"] for size in measured["sizes"]} == {64, 1280}
    assert all(size["seconds_per_step"] > 0 for size in measured["sizes"])
    assert measured["total_s"]["p95"] >= measured["total_s"]["p50"] > 0
    assert measured["peak_vram_bytes"] == 7
    assert told(client, "performance/TI2V-5B")["measured"]["runs"] == 0


def test_a_waiting_or_cancelled_task_is_no_history(client: TestClient, services: Services) -> None:
    submitted(client)
    services.queue.cancel(submitted(client))
    assert told(client, "performance/T2V-A14B")["measured"]["runs"] == 0


def test_tasks_on_another_device_stand_by_themselves(client: TestClient, services: Services) -> None:
    run_one(client, services)
    moved = create_app(replace(services, probe=lambda: WITH_GPU))
    found = told(TestClient(moved, base_url=URL), "performance/T2V-A14B")
    assert (found["measured"]["device"], found["measured"]["runs"]) == ("cuda:0", 0)
    assert [(other["device"], other["runs"]) for other in found["others"]] == [("cpu", 1)]
    assert found["expected"]["measured_total_s"] is None  # the demo weights are not what the report is about


def test_health_tells_of_weights_device_and_the_last_error(client: TestClient, services: Services) -> None:
    assert told(client, "health/T2V-A14B")["last_error"] is None
    task_id = fail_one(client, services)
    complete_one = submitted(client)
    assert complete(services) == complete_one
    found = told(client, "health/T2V-A14B")
    assert (found["runs"], found["success_rate"]) == (2, 0.5)
    assert found["last_error"]["task_id"] == task_id
    assert found["last_error"]["error"]["hint"] == "Ask for less."
    assert found["last_error"]["at"].endswith("Z")
    assert found["device"] == {"name": "cpu", "gpu": None, "vram_bytes": None, "why": ""}
    assert found["weights"] | {"why": ""} == {
        "state": "demo",
        "variant": "demo",
        "real": "missing",
        "missing": [],
        "why": "",
    }


def test_health_says_what_is_wrong_with_weights_and_device(tmp_path: Path, closing: ExitStack) -> None:
    (tmp_path / "models" / "t2v-A14B" / "dev").mkdir(parents=True)
    rooms = {"models": {"variant": "dev"}, "device": {"device": "cuda"}}
    client = another(tmp_path, closing, rooms=rooms)
    found = told(client, "health/T2V-A14B")
    assert found["weights"]["state"] == found["weights"]["real"] == "partial"
    assert found["weights"]["variant"] is None
    assert "model_index.json" in found["weights"]["missing"][0]
    assert found["device"]["name"] is None
    assert "no NVIDIA GPU was found" in found["device"]["why"]
    assert told(client, "health/TI2V-5B")["weights"]["state"] == "missing"
    assert told(client, "capabilities/T2V-A14B")["weights"]["variant"] is None
    assert len(told(client, "dashboard")["models"]) == 3


def test_a_comparison_has_both_sides(client: TestClient, services: Services) -> None:
    for name in ("T2V-A14B", "TI2V-5B"):
        run_one(client, services, model_type=name, width=64, height=64)
    found = told(client, "compare/t2v-a14b/TI2V-5B")
    assert (found["model_a"], found["model_b"]) == ("T2V-A14B", "TI2V-5B")
    assert found["lines"]["min_vram_bytes"]["better"] == "TI2V-5B"
    (size,) = found["measured"]
    assert size["a_s"] > 0
    assert size["b_s"] > 0


def order(found: dict[str, Any]) -> list[str]:
    return [one["model_type"] for one in found["recommended"]]


def test_a_recommendation_goes_by_what_is_asked(client: TestClient) -> None:
    assert order(told(client, "recommend")) == ["T2V-A14B", "TI2V-5B"]
    assert order(told(client, "recommend", priority="SPEED")) == ["TI2V-5B", "T2V-A14B"]
    assert order(told(client, "recommend", has_image="true")) == ["I2V-A14B", "TI2V-5B"]
    assert order(told(client, "recommend", vram_gb=8)) == ["TI2V-5B"]


def test_the_machines_own_vram_counts_where_none_is_said(tmp_path: Path, closing: ExitStack) -> None:
    client = another(tmp_path, closing, probe=lambda: WITH_GPU)
    size = {"width": 1920, "height": 1080, "num_frames": 81}
    found = told(client, "recommend", **size)
    assert found["vram_bytes"] == RTX_4080.vram_total_bytes
    assert order(found) == ["TI2V-5B"]
    assert order(told(client, "recommend", vram_gb=80, **size)) == ["T2V-A14B", "TI2V-5B"]


@pytest.mark.parametrize(
    ("query", "field", "told_"),
    [
        ({"priorty": "speed"}, "priorty", 'did you mean "priority"?'),
        ({"priority": "sped"}, "priority", "did you mean speed?"),
        ({"has_image": "perhaps"}, "has_image", "must be true or false"),
        ({"has_prompt": "false"}, "has_prompt", "every model begins with"),
        ({"width": "1280"}, "height", "send both sides"),
        ({"width": "9" * 300, "height": "720"}, "width", "send 4096"),
        ({"num_frames": "122"}, "num_frames", "must be at most 121"),
        ({"vram_gb": "-1"}, "vram_gb", "must be more than 0"),
        ({"vram_gb": "inf"}, "vram_gb", "must be"),
        ({"vram_gb": ""}, "vram_gb", "must be a number"),
    ],
)
def test_a_wrong_wish_is_told_so(client: TestClient, query: dict[str, str], field: str, told_: str) -> None:
    answer = client.get(f"{WAN}/recommend", params=query)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert told_ in error["message"]


def test_the_overview_has_the_three_in_short(client: TestClient, services: Services) -> None:
    run_one(client, services)
    found = told(client, "dashboard")
    assert [model["model_type"] for model in found["models"]] == ["T2V-A14B", "I2V-A14B", "TI2V-5B"]
    first, second, _ = found["models"]
    assert first["performance"]["runs"] == 1
    assert second["performance"]["p50_total_s"] is None
    assert "quantization" not in first["capabilities"]["not_as_reported"]
    assert first["last_error"] is None


EXAMPLES: list[tuple[type[Any], dict[str, Any]]] = [
    (Capabilities, model_examples.CAPABILITIES),
    (ModelHealth, model_examples.HEALTH),
    (Performance, model_examples.PERFORMANCE),
    (Comparison, model_examples.COMPARISON),
    (Recommendation, model_examples.RECOMMENDATION),
    (Overview, model_examples.OVERVIEW),
]


@pytest.mark.parametrize(("model", "example"), EXAMPLES, ids=lambda one: getattr(one, "__name__", ""))
def test_examples_are_what_they_say(model: type[Any], example: dict[str, Any]) -> None:
    assert model.model_validate(example).model_dump(mode="json") == example


def test_examples_of_errors_are_what_is_sent(client: TestClient) -> None:
    document = client.get("/openapi.json").json()["paths"]
    path = f"{WAN}/health/{{model_type}}"
    missing = document[path]["get"]["responses"]["404"]["content"]["application/problem+json"]["example"]
    wrong = document[f"{WAN}/recommend"]["get"]["responses"]["422"]["content"]["application/problem+json"]["example"]
    assert client.get(missing["instance"]).json() == missing
    assert client.get(wrong["instance"], params={"priority": "sped"}).json() == wrong
