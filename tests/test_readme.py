"""What the README tells to send is sent, as it stands there, and accepted."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from support.pictures import encoded, gradient

from wan22.runtime import Runtime
from wan22.settings import load_settings
from wan22.testing import Painter

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
CURLS = re.findall(r"^curl -s (?:[^\n]*\\\n)*[^\n]*", README, re.MULTILINE)
POWERSHELL = re.search(r"\$body = @\{\n(.*?)\n\} \| ConvertTo-Json", README, re.DOTALL)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    runtime = Runtime(load_settings(storage={"home": tmp_path, "min_free_bytes": 0}), painter=Painter)
    yield TestClient(runtime.app, base_url="http://127.0.0.1:8000")
    runtime.close()


def send(client: TestClient, command: str) -> httpx.Response:
    """What curl would send for the command."""
    words = shlex.split(command.replace("\\\n", " "))
    url = next(word for word in words if word.startswith("http"))
    values = {flag: [words[n + 1] for n, word in enumerate(words) if word == flag] for flag in ("-d", "-F", "-H")}
    if values["-d"]:
        headers = dict(header.split(": ") for header in values["-H"])
        return client.post(url, content=values["-d"][0].encode(), headers=headers)
    fields = dict(field.split("=", 1) for field in values["-F"])
    files = {name: ("picture.png", encoded(gradient())) for name, value in fields.items() if value.startswith("@")}
    return client.post(url, data={n: v for n, v in fields.items() if n not in files}, files=files)


@pytest.mark.parametrize("command", CURLS)
def test_every_curl_example_is_accepted(client: TestClient, command: str) -> None:
    answer = send(client, command)
    assert answer.status_code == (200 if "/estimate" in command else 202), answer.text


def test_there_are_examples_for_curl_and_powershell() -> None:
    assert len(CURLS) >= 2
    assert POWERSHELL


def test_the_powershell_example_is_accepted(client: TestClient) -> None:
    assert POWERSHELL
    pairs = (line.strip().split(" = ", 1) for line in POWERSHELL[1].splitlines())
    body: dict[str, Any] = {name: json.loads(value) for name, value in pairs}
    answer = client.post("/api/v1/generation/submit", json=body)
    assert answer.status_code == 202, answer.text
    assert {name: answer.json()["request"][name] for name in body} == body


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", README))))
def test_every_link_leads_to_a_file(path: str) -> None:
    assert (ROOT / path).exists()
