"""Alerts by HTTP: what is open, what was, by which thresholds, and that a person has seen one."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
from api_kit import URL, open_services, settings_for
from starlette.testclient import TestClient

from wan22.api.app import create_app
from wan22.api.services import Services

ALERTS = "/api/v1/dashboard/alerts"


@pytest.fixture
def full(tmp_path: Path, closing: ExitStack) -> Services:
    """Of a server that wants more of the disk than there is, and has been looked at once."""
    settings = settings_for(tmp_path, alerts={"disk_free_bytes": 2**60, "webhook_url": "http://127.0.0.1:9/s3cret"})
    services = open_services(settings, closing)
    services.monitor.sampler.start()
    while services.monitor.history.latest is None:
        pass
    services.monitor.sampler.stop()
    services.alerts.look()
    return services


def test_with_nothing_wrong_the_rules_are_told(client: TestClient) -> None:
    answer = client.get(ALERTS).json()
    assert answer["alerts"] == []
    rules = {rule["name"]: rule for rule in answer["rules"]}
    assert len(rules) == 11
    assert rules["steps_slow"]["raise_at"] == 3
    assert rules["disk_low"]["raise_at"] < rules["disk_low"]["clear_at"]


def test_an_open_alert_is_told_with_the_threshold_of_the_settings(full: Services) -> None:
    client = TestClient(create_app(full), base_url=URL)
    answer = client.get(ALERTS)
    (alert,) = answer.json()["alerts"]
    assert (alert["rule"], alert["subject"], alert["severity"]) == ("disk_low", "disk", "critical")
    assert alert["raised_at"].endswith("Z")
    assert {rule["raise_at"] for rule in answer.json()["rules"] if rule["name"] == "disk_low"} == {2.0**60}
    assert "s3cret" not in answer.text


def test_a_person_says_to_have_seen_it(full: Services) -> None:
    client = TestClient(create_app(full), base_url=URL)
    (alert,) = client.get(ALERTS).json()["alerts"]
    first = client.post(f"{ALERTS}/{alert['id']}/acknowledge")
    assert first.status_code == 200
    assert first.json() == {**alert, "acknowledged_at": first.json()["acknowledged_at"]}
    assert first.json()["acknowledged_at"]
    assert client.post(f"{ALERTS}/{alert['id']}/acknowledge").json() == first.json()
    assert client.get(ALERTS).json()["alerts"] == [first.json()]


@pytest.mark.parametrize("name", ["2", "x", "-1", "9" * 30, "%00", "%F0%9F%92%A9"])
def test_there_is_no_other(full: Services, name: str) -> None:
    answer = TestClient(create_app(full), base_url=URL).post(f"{ALERTS}/{name}/acknowledge")
    assert answer.status_code == 404
    assert ALERTS in answer.json()["hint"]


@pytest.mark.parametrize(
    ("query", "field"),
    [("include_cleared=maybe", "include_cleared"), ("cleared=true", "cleared"), ("include_cleared=1&x=1", "x")],
)
def test_a_wrong_parameter_is_named(client: TestClient, query: str, field: str) -> None:
    answer = client.get(f"{ALERTS}?{query}")
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_cleared_ones_are_told_if_asked_for(full: Services) -> None:
    client = TestClient(create_app(full), base_url=URL)
    (opened,) = full.alerts.list()
    full.feed.transact(lambda tables, _: tables.alerts.clear("disk_low", "disk", at=opened.raised_at))
    assert client.get(ALERTS).json()["alerts"] == []
    (alert,) = client.get(ALERTS, params={"include_cleared": True}).json()["alerts"]
    assert alert["cleared_at"] == alert["raised_at"]
