"""The page is served from memory, with a policy that lets nothing foreign in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from wan22.api.guard import Guard
from wan22.api.problems import add_handlers
from wan22.api.trust import Trust
from wan22.dashboard.pages import FILES, PAGE, add_pages, static_files
from wan22.settings import ServerSettings


@pytest.fixture(scope="module")
def browser() -> Iterator[TestClient]:
    app = FastAPI()
    add_handlers(app)
    add_pages(app)
    app.add_middleware(Guard, trust=Trust.of(ServerSettings()))
    with TestClient(app, base_url="http://127.0.0.1", follow_redirects=False) as client:
        yield client


def test_the_root_leads_to_the_page(browser: TestClient) -> None:
    assert browser.get("/").headers["location"] == PAGE
    assert browser.get("/", follow_redirects=True).status_code == 200


def test_the_page_has_a_strict_policy(browser: TestClient) -> None:
    answer = browser.get(PAGE)
    policy = answer.headers["content-security-policy"]
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert policy.startswith("default-src 'none'; script-src 'self'; ")
    assert {"style-src 'self'", "trusted-types 'none'"} <= set(policy.split("; "))
    assert not {"unsafe", "*", "http:"} & set(policy.replace("'", " ").replace("-", " ").split())


@pytest.mark.parametrize("name", sorted(static_files()))
def test_every_file_comes_with_its_own_type(browser: TestClient, name: str) -> None:
    answer = browser.get(f"{FILES}/{name}")
    kinds = {"js": "text/javascript", "css": "text/css", "html": "text/html", "svg": "image/svg+xml"}
    assert answer.headers["content-type"].partition(";")[0] == kinds[name.rpartition(".")[2]]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.content


@pytest.mark.parametrize("name", ["pages.py", "..", "%2e%2e%2fpages.py", "..%5cpages.py", "INDEX.HTML", "index.html/"])
def test_nothing_else_can_be_asked_for(browser: TestClient, name: str) -> None:
    assert browser.get(f"{FILES}/{name}").status_code in (307, 404)


def test_a_file_that_is_known_is_not_sent_again(browser: TestClient) -> None:
    first = browser.get(PAGE)
    again = browser.get(PAGE, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    part = browser.get(PAGE, headers={"If-None-Match": first.headers["etag"].strip('"')})
    assert part.status_code == 200, "a tag without its quotes is none"


def test_head_has_no_body(browser: TestClient) -> None:
    for path in ("/", PAGE, f"{FILES}/main.js"):
        answer = browser.head(path)
        assert answer.status_code in (200, 307)
        assert answer.content == b""
