"""Bodies as real clients send them by mistake: each is refused as a problem whose words hold the cure."""

from __future__ import annotations

import json

import pytest
from api_kit import BODY, SUBMIT
from starlette.testclient import TestClient

JSON = "application/json"
GOOD = json.dumps(BODY)
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"

MISTAKES: list[tuple[str, str | None, bytes | str, int, str]] = [
    ("PowerShell 5.1 gives curl.exe no quotes", JSON, "{prompt:a cat}", 400, "--data-binary"),
    ("the same with a comma", JSON, "{model_type:T2V-A14B,prompt:a cat}", 400, "Invoke-RestMethod"),
    ("cmd.exe keeps single quotes", JSON, "'{prompt:", 400, "cmd.exe"),
    ("single quotes inside", JSON, "{'prompt': 'a cat'}", 400, "json.dumps"),
    ("a Python dict printed", JSON, '{"prompt": "a cat", "enable_optimization": True}', 400, "json.dumps"),
    ("quotes escaped twice", JSON, '{\\"prompt\\": \\"a cat\\"}', 400, "--data-binary"),
    ("Latin-1 from PowerShell 5.1", JSON, '{"prompt": "Füße"}'.encode("latin-1"), 400, "charset=utf-8"),
    ("cp1251", JSON, '{"prompt": "кот"}'.encode("cp1251"), 400, "charset=utf-8"),
    ("letters lost in Latin-1", JSON, '{"model_type": "T2V-A14B", "prompt": "??? ????"}', 422, "charset=utf-8"),
    ("Invoke-RestMethod without -ContentType", "application/x-www-form-urlencoded", GOOD, 415, "-ContentType"),
    ("curl -d without a header", "application/x-www-form-urlencoded", "prompt=a+cat", 415, "ConvertTo-Json"),
    ("a hashtable that was not converted", JSON, "prompt=a+cat&width=1280", 400, "ConvertTo-Json"),
    ("a hashtable as text", JSON, "System.Collections.Hashtable", 400, "ConvertTo-Json"),
    ("a custom object as text", JSON, "@{prompt=a cat}", 400, "ConvertTo-Json"),
    ("ConvertTo-Json without -Depth", JSON, '{"metadata": {"a": "System.Collections.Hashtable"}}', 422, "-Depth 10"),
    ("the name of the file, not its content", JSON, "@body.json", 400, "--data-binary"),
    ("converted twice", JSON, json.dumps(GOOD), 400, "twice"),
    ("a list", JSON, f"[{GOOD}]", 400, "num_videos"),
    ("null", JSON, "null", 400, '{"model_type": "T2V-A14B", "prompt": "a cat"}'),
    ("nothing", JSON, "", 400, "empty"),
    ("nothing at all", None, "", 400, "empty"),
    ("a comma too many", JSON, '{"prompt": "a cat",}', 400, "comma"),
    ("a comment", JSON, '{\n// what to show\n"prompt": "a cat"}', 400, "comments"),
    ("typographic quotes", JSON, "{“prompt”: “a cat”}", 400, "typographic"),
    ("cut short", JSON, '{"model_type": "T2V-A14B", "prompt": "a c', 400, "cut short"),
    ("a Windows path", JSON, '{"image": "C:\\videos\\cat.png"}', 400, "backslash"),
    ("a path that is JSON", JSON, '{"model_type": "I2V-A14B", "image": "C:\\\\cat.png"}', 422, "multipart"),
    ("an address", JSON, '{"model_type": "I2V-A14B", "image": "https://a.example/cat.png"}', 422, "fetches nothing"),
    ("a picture as the body", JSON, PNG, 400, "multipart"),
    ("a picture with its own type", "image/png", PNG, 415, "multipart"),
    ("JSON sent as text", "text/plain", GOOD, 415, "Content-Type: application/json"),
    ("XML", JSON, "<prompt>a cat</prompt>", 400, "XML"),
    ("a form without its boundary", "multipart/form-data", "--x\r\n", 400, "boundary"),
    ("a form under the wrong type", JSON, '--x\r\nContent-Disposition: form-data; name="prompt"', 400, "multipart"),
    ("compressed", JSON, b"\x1f\x8b\x08\0\0\0\0\0", 400, "compressed"),
    ("not a number", JSON, '{"guidance_scale": NaN}', 400, "finite"),
    ("twice the same field", JSON, '{"prompt": "a", "prompt": "b"}', 400, "once"),
]


@pytest.mark.parametrize(
    ("content_type", "body", "status", "cure"), [one[1:] for one in MISTAKES], ids=[one[0] for one in MISTAKES]
)
def test_a_mistake_is_answered_with_its_cure(
    client: TestClient, content_type: str | None, body: bytes | str, status: int, cure: str
) -> None:
    answer = client.post(SUBMIT, content=body, headers={"Content-Type": content_type} if content_type else {})
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json; charset=utf-8"
    problem = answer.json()
    assert cure in problem["hint"] + problem["detail"]
    assert client.get("/api/v1/generation").json()["tasks"] == []


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (JSON, GOOD),
        (None, GOOD),
        ("application/JSON ; Charset=UTF-8", GOOD),
        ("application/vnd.api+json", GOOD),
        (JSON, b"\xef\xbb\xbf" + GOOD.encode()),
        (JSON, GOOD.encode("utf-16")),
        (None, b"\xef\xbb\xbf" + GOOD.encode()),
        (JSON, "\r\n " + GOOD + "\r\n"),
        ("application/json; charset=iso-8859-1", GOOD.replace("cat", "Fuß").encode("latin-1")),
    ],
)
def test_what_is_only_unusual_is_taken(client: TestClient, content_type: str | None, body: bytes | str) -> None:
    answer = client.post(SUBMIT, content=body, headers={"Content-Type": content_type} if content_type else {})
    assert answer.status_code == 202, answer.text


def test_a_compressed_body_is_told_by_its_header(client: TestClient) -> None:
    headers = {"Content-Type": JSON, "Content-Encoding": "gzip"}
    answer = client.post(SUBMIT, content=GOOD, headers=headers)
    assert answer.status_code == 415
    assert "uncompressed" in answer.json()["hint"]


@pytest.mark.parametrize("prompt", ["what? why? how?", "猫???", "1+1=?", "??"])
def test_a_prompt_that_only_asks_is_taken(client: TestClient, prompt: str) -> None:
    assert client.post(SUBMIT, json={**BODY, "prompt": prompt}).status_code == 202
