"""Finished files over HTTP: ranges, conditional requests, names and types."""

from __future__ import annotations

import pytest
from api_kit import NOBODY, TASKS, complete, submitted
from starlette.testclient import TestClient

from wan22.api.services import Services

CONTENT = bytes(range(256)) * 4_000  # a few chunks
SIZE = len(CONTENT)
ETAG = f'"{"ab" * 32}"'


@pytest.fixture
def url(client: TestClient, services: Services) -> str:
    """Of a finished file."""
    submitted(client)
    return f"{TASKS}/{complete(services, CONTENT)}/outputs/0"


def test_a_file_comes_whole_with_its_type_and_name(client: TestClient, url: str) -> None:
    answer = client.get(url)
    assert answer.content == CONTENT
    assert answer.headers["Content-Type"] == "video/mp4"
    assert answer.headers["Content-Length"] == str(SIZE)
    assert answer.headers["ETag"] == ETAG
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_its_name_is_made_of_our_own_words(client: TestClient, url: str) -> None:
    task_id = url.split("/")[4]
    name = f'filename="t2v-a14b-{task_id[-8:]}.mp4"'
    assert client.get(url).headers["Content-Disposition"] == f"inline; {name}"
    assert client.get(f"{url}?download=true").headers["Content-Disposition"] == f"attachment; {name}"


def test_head_gives_the_headers_alone(client: TestClient, url: str) -> None:
    got, asked = client.get(url), client.head(url)
    assert (asked.status_code, asked.content) == (200, b"")
    assert dict(asked.headers) == dict(got.headers)
    assert client.head(f"{url}/thumbnail").headers["Content-Type"] == "image/jpeg"


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, SIZE),
        ("bytes=100-199", 100, 200),
        ("Bytes=1000-999999999999", 1_000, SIZE),
        ("bytes=-1", SIZE - 1, SIZE),
        (f"bytes=-{SIZE * 2}", 0, SIZE),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE),
        ("bytes= 3 - 4 ", 3, 5),
    ],
)
def test_a_range_gives_that_part(client: TestClient, url: str, asked: str, start: int, end: int) -> None:
    answer = client.get(url, headers={"Range": asked})
    assert answer.status_code == 206
    assert answer.content == CONTENT[start:end]
    assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{SIZE}"
    assert answer.headers["Content-Length"] == str(end - start)


@pytest.mark.parametrize(
    "asked",
    [
        *("", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-2", "items=0-1", "bytes=0-1,5-6", "bytes=--5"),
        *("bytes=0-1,", "bytes=1", "bytes=" + "0-0," * 2_000, "bytes=" + "9" * 30 + "-", "bytes=٣-٤".encode()),
    ],
)
def test_a_range_that_is_malformed_or_a_list_gives_the_whole(client: TestClient, url: str, asked: str | bytes) -> None:
    answer = client.get(url, headers={"Range": asked})
    assert answer.status_code == 200
    assert answer.content == CONTENT


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", f"bytes={SIZE * 9}-{SIZE * 10}", "bytes=-0"])
def test_a_range_beyond_the_end_is_a_problem(client: TestClient, url: str, asked: str) -> None:
    answer = client.get(url, headers={"Range": asked})
    assert (answer.status_code, answer.json()["code"]) == (416, "range_not_satisfiable")
    assert answer.headers["Content-Range"] == f"bytes */{SIZE}"


@pytest.mark.parametrize("known", [ETAG, "*", f'"other", {ETAG}', f"W/{ETAG}"])
def test_an_unchanged_file_is_not_sent_again(client: TestClient, url: str, known: str) -> None:
    answer = client.get(url, headers={"If-None-Match": known, "Range": "bytes=0-0"})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["ETag"] == ETAG


def test_a_changed_file_is_sent(client: TestClient, url: str) -> None:
    assert client.get(url, headers={"If-None-Match": '"other"'}).status_code == 200
    assert client.get(url, headers={"Range": "bytes=0-0", "If-Range": ETAG}).status_code == 206
    assert client.get(url, headers={"Range": "bytes=0-0", "If-Range": '"other"'}).status_code == 200
    assert client.get(url, headers={"Range": "bytes=0-0", "If-Range": f"W/{ETAG}"}).status_code == 200


def test_a_thumbnail_has_an_etag_of_its_own(client: TestClient, url: str) -> None:
    answer = client.get(f"{url}/thumbnail")
    assert answer.content == b"\xff\xd8thumbnail"
    assert answer.headers["ETag"] != ETAG
    assert answer.headers["Content-Disposition"].endswith('.jpg"')


@pytest.mark.parametrize("format", ["webm", "gif", "png", "webp"])
def test_every_format_has_a_type_of_ours(client: TestClient, services: Services, format: str) -> None:
    submitted(client)
    answer = client.get(f"{TASKS}/{complete(services, format=format)}/outputs/0")
    assert answer.headers["Content-Type"] == f"{'video' if format == 'webm' else 'image'}/{format}"


def test_a_task_that_has_no_such_file_says_so(client: TestClient, url: str) -> None:
    waiting = submitted(client)
    assert "it is queued and has none" in client.get(f"{TASKS}/{waiting}/outputs/0").json()["detail"]
    assert "it has 1" in client.get(url.replace("outputs/0", "outputs/1")).json()["detail"]
    assert client.get(f"{TASKS}/{NOBODY}/outputs/0").status_code == 404


@pytest.mark.parametrize("n", ["-1", "x", "1.5", "9" * 5_000, "0x0", "%00", "1001"])
def test_a_number_that_is_none_is_told(client: TestClient, url: str, n: str) -> None:
    answer = client.get(f"{url[:-1]}{n}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "n"


def test_a_file_that_has_gone_is_not_found(client: TestClient, services: Services, url: str) -> None:
    services.outputs.remove(url.split("/")[4])
    assert client.get(url).status_code == client.get(f"{url}/thumbnail").status_code == 404


def test_an_empty_file_is_whole(client: TestClient, services: Services) -> None:
    submitted(client)
    url = f"{TASKS}/{complete(services, b'')}/outputs/0"
    assert client.get(url).content == b""
    assert client.get(url, headers={"Range": "bytes=0-"}).status_code == 416
