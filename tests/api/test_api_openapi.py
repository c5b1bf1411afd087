"""The document reads like a manual, its examples are true, and its pages ask no other host for anything."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Any

import pytest
from api_kit import SUBMIT, TASKS, complete, submitted
from starlette.testclient import TestClient

from wan22.api import examples
from wan22.api.app import create_app
from wan22.api.handlers.health import Readiness
from wan22.api.problems import STATUS, Problem
from wan22.api.routes.pages import ASSETS
from wan22.api.services import Services
from wan22.api.views import EstimateView, EventView, TaskPage, TaskView
from wan22.dashboard.pages import add_pages
from wan22.tasks import Draft


@pytest.fixture
def document(client: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every call by method and path."""
    return {
        f"{method.upper()} {path}": call
        for path, methods in document["paths"].items()
        for method, call in methods.items()
    }


def test_the_calls_of_this_version_are_all_there(document: dict[str, Any]) -> None:
    task = "/api/v1/generation/{task_id}"
    assert set(operations(document)) == {
        "POST /api/v1/generation/submit",
        "POST /api/v1/generation/enhanced/submit",
        "POST /api/v1/generation/estimate",
        "GET /api/v1/generation",
        f"GET {task}",
        f"DELETE {task}",
        f"POST {task}/cancel",
        f"POST {task}/retry",
        f"GET {task}/outputs/{{n}}",
        f"GET {task}/outputs/{{n}}/thumbnail",
        f"GET {task}/events",
        "GET /api/v1/performance/optimizations",
        "POST /api/v1/performance/optimize",
        "GET /api/v1/performance/status",
        "GET /api/v1/performance/metrics",
        "GET /metrics",
        "GET /api/v1/dashboard/alerts",
        "POST /api/v1/dashboard/alerts/{alert_id}/acknowledge",
        "GET /api/v1/models/status",
        "GET /api/v1/models/status/{model_type}",
        "GET /api/v1/models/health",
        "POST /api/v1/models/download",
        "GET /api/v1/models/download/plan/{model_type}",
        "GET /api/v1/models/download/progress",
        "POST /api/v1/models/download/{model_type}/cancel",
        "POST /api/v1/models/verify/{model_type}",
        "POST /api/v1/models/load/{model_type}",
        "POST /api/v1/models/unload/{model_type}",
        "GET /api/v1/models/loras",
        "POST /api/v1/models/loras",
        "GET /api/v1/wan-models/capabilities/{model_type}",
        "GET /api/v1/wan-models/health/{model_type}",
        "GET /api/v1/wan-models/performance/{model_type}",
        "GET /api/v1/wan-models/compare/{model_a}/{model_b}",
        "GET /api/v1/wan-models/recommend",
        "GET /api/v1/wan-models/dashboard",
        "GET /health",
        "GET /v2/health",
    }


def test_every_call_has_summary_description_answer_and_errors(document: dict[str, Any]) -> None:
    for name, call in operations(document).items():
        assert call["summary"], name
        assert call["description"], name
        assert any(status.startswith("2") for status in call["responses"]), name
        errors = [status for status in call["responses"] if status[0] in "45"]
        assert errors or name == "GET /health", name


def test_every_json_answer_has_a_worked_example(document: dict[str, Any]) -> None:
    for name, call in operations(document).items():
        for status, answer in call["responses"].items():
            for media_type, content in answer.get("content", {}).items():
                if "json" in media_type and not (name == "GET /v2/health" and status == "503"):
                    assert content["example"], (name, status)
                    assert content["schema"], (name, status)


def test_errors_are_documented_as_problems(document: dict[str, Any]) -> None:
    for name, call in operations(document).items():
        for status, answer in call["responses"].items():
            if status[0] in "45" and name != "GET /v2/health":
                assert set(answer["content"]) == {"application/problem+json"}, (name, status)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert named <= set(document["components"]["schemas"])
    assert {"Draft", "DraftForm", "Problem", "TaskView"} <= named


def test_a_submit_body_is_described_as_json_and_as_a_form(document: dict[str, Any]) -> None:
    content = operations(document)["POST /api/v1/generation/submit"]["requestBody"]["content"]
    assert set(content) == {"application/json", "multipart/form-data"}
    form = document["components"]["schemas"]["DraftForm"]["properties"]
    assert form["image"]["format"] == "binary"
    assert set(form) == set(Draft.model_fields)
    assert all("description" in one for one in document["components"]["schemas"]["Draft"]["properties"].values())


@pytest.mark.parametrize("example", [examples.QUEUED, examples.COMPLETED, examples.CANCELLED])
def test_examples_of_a_task_are_tasks(example: dict[str, Any]) -> None:
    view = TaskView.model_validate(example)
    shown = view.model_dump(mode="json")
    assert set(example) == set(shown)
    assert {name: shown[name] for name in example if name != "timings"} == {
        name: value for name, value in example.items() if name != "timings"
    }


def test_the_other_examples_are_what_they_say() -> None:
    TaskPage.model_validate(examples.PAGE)
    EstimateView.model_validate(examples.ESTIMATE)
    Readiness.model_validate(examples.READINESS)
    Draft.model_validate(examples.SUBMIT)
    Draft.model_validate(examples.FORM)
    Draft.model_validate(examples.ENHANCED)
    EventView.model_validate_json(examples.EVENT.split("data: ")[1])


def test_examples_of_problems_have_codes_that_exist() -> None:
    by_code = {kind.code: status for kind, status in STATUS.items()} | {"range_not_satisfiable": 416}
    for status, problem in examples.PROBLEMS.items():
        assert by_code[problem.code] == problem.status == status
        assert problem.hint
    assert set(Problem.model_fields) >= {"type", "title", "status", "detail", "instance", "code", "hint", "errors"}


def test_every_example_of_a_request_is_accepted_as_it_stands(client: TestClient, document: dict[str, Any]) -> None:
    sent = []
    for name, call in operations(document).items():
        method, path = name.split()
        if path.startswith(("/api/v1/models/", "/api/v1/performance/")):
            continue  # these want a hub, a file or a device, which other tests have
        for media_type, content in call.get("requestBody", {}).get("content", {}).items():
            form = {field: (None, str(value)) for field, value in content["example"].items()}
            body = {"json": content["example"]} if media_type == "application/json" else {"files": form}
            answer = client.request(method, path, **body)
            assert answer.status_code == (200 if path.endswith("/estimate") else 202), (name, media_type, answer.text)
            sent.append((path, media_type))
    assert len(sent) == len(set(sent)) == 6


def documented(document: dict[str, Any], call: str, status: int) -> dict[str, Any]:
    """The example of a problem, without the path, which is the example's own."""
    content = operations(document)[call]["responses"][str(status)]["content"]["application/problem+json"]
    return {**content["example"], "instance": ""}


def test_examples_of_errors_are_what_is_sent(client: TestClient, services: Services, document: dict[str, Any]) -> None:
    submitted(client)
    outputs = f"{TASKS}/{complete(services)}/outputs/0"
    typed = client.post(SUBMIT, content="{}", headers={"Content-Type": "application/x-www-form-urlencoded"})
    beyond = client.get(outputs, headers={"Range": "bytes=99-"})
    missing = client.get(f"{TASKS}/{examples.TASK_ID}")
    assert {**typed.json(), "instance": ""} == documented(document, f"POST {SUBMIT}", 415)
    assert {**beyond.json(), "instance": ""} == documented(document, f"GET {TASKS}/{{task_id}}/outputs/{{n}}", 416)
    assert {**missing.json(), "instance": ""} == documented(document, f"GET {TASKS}/{{task_id}}", 404)


def test_every_example_of_an_error_names_the_call_that_it_stands_in(document: dict[str, Any]) -> None:
    for name, call in operations(document).items():
        path = name.split()[1].format(**examples.IN_PATHS)
        for status, answer in call["responses"].items():
            example = answer.get("content", {}).get("application/problem+json", {}).get("example")
            assert example is None or example["instance"] == path, (name, status)
            assert example is None or example["hint"], (name, status)


def test_what_the_guard_answers_is_documented_for_every_call(document: dict[str, Any]) -> None:
    for name, call in operations(document).items():
        assert "403" in call["responses"], name
        assert ("401" in call["responses"]) == (name != "GET /health"), name


def test_every_field_is_described(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        for field, said in schema.get("properties", {}).items():
            assert said.get("description"), (name, field)


def test_every_tag_is_described(services: Services) -> None:
    app = create_app(services)
    add_pages(app)
    document = app.openapi()
    used = {tag for call in operations(document).values() for tag in call["tags"]}
    assert used == {tag["name"] for tag in document["tags"] if tag["description"]}
    page = document["paths"]["/api/v1/dashboard/html"]["get"]["responses"]
    assert page["200"]["content"]["text/html"]["example"]
    assert "401" in page


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
def test_a_page_loads_only_what_is_here(client: TestClient, page: str) -> None:
    text = client.get(page).text
    linked = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert linked
    assert "://" not in text
    assert "<script>" not in text
    assert "style=" not in text
    for link in linked:
        assert link.startswith("data:") or client.get(f"/{link}").status_code == 200, link


@pytest.mark.parametrize("name", sorted(ASSETS))
def test_an_asset_has_the_type_that_a_browser_insists_on(client: TestClient, name: str) -> None:
    answer = client.get(f"/docs/assets/{name}")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == ASSETS[name][1]


@pytest.mark.parametrize("name", ["x", "..%2fdocs.html", "docs.html", "favicon.png", "__init__.py", "%00"])
def test_no_other_file_is_served(client: TestClient, name: str) -> None:
    assert client.get(f"/docs/assets/{name}").status_code == 404


def test_our_own_files_name_no_other_host() -> None:
    for path in (files("wan22.api") / "static").iterdir():
        assert "://" not in path.read_text("utf-8"), path.name
