"""The document reads like a manual, its examples are true, and its pages ask no other host for anything."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Any

import pytest
from starlette.testclient import TestClient

from wan22.api import examples
from wan22.api.handlers.health import Readiness
from wan22.api.problems import STATUS, Problem
from wan22.api.routes.pages import ASSETS
from wan22.api.views import EventView, TaskPage, TaskView
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
        "GET /api/v1/generation",
        f"GET {task}",
        f"DELETE {task}",
        f"POST {task}/cancel",
        f"POST {task}/retry",
        f"GET {task}/outputs/{{n}}",
        f"GET {task}/outputs/{{n}}/thumbnail",
        f"GET {task}/events",
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
    Readiness.model_validate(examples.READINESS)
    Draft.model_validate(examples.SUBMIT)
    Draft.model_validate(examples.FORM)
    EventView.model_validate_json(examples.EVENT.split("data: ")[1])


def test_examples_of_problems_have_codes_that_exist() -> None:
    by_code = {kind.code: status for kind, status in STATUS.items()} | {"range_not_satisfiable": 416}
    assert {code: status for status, (code, *_) in examples.PROBLEMS.items()}.items() <= by_code.items()
    assert set(Problem.model_fields) >= {"type", "title", "status", "detail", "instance", "code", "hint", "errors"}


def test_the_examples_submit_is_accepted(client: TestClient) -> None:
    assert client.post("/api/v1/generation/submit", json=examples.SUBMIT).status_code == 202


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
