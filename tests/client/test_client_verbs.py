"""Each verb makes the call that the API promises and gives a value back."""

from __future__ import annotations

from pathlib import Path

import pytest
from client_story import VIDEO, Story, lost, problem
from starlette.responses import JSONResponse

from wan22.client import Client
from wan22.errors import ConfigurationError, InvalidRequest, NotFound, ServerFault, WrongState
from wan22.tasks import Draft, ModelType, Status


def test_submit_sends_json_and_gives_the_task(client: Client, story: Story) -> None:
    task = client.submit(prompt="a cat", model_type="T2V-A14B", seed=None)
    assert task.task_id == "t1"
    assert story.asked == [("POST", "/api/v1/generation/submit")]
    assert story.bodies == [{"prompt": "a cat", "model_type": "T2V-A14B"}]


def test_fields_go_over_the_draft(client: Client, story: Story) -> None:
    client.submit(Draft(prompt="a cat", steps=4, num_frames=9), steps=8)
    assert story.bodies == [{"prompt": "a cat", "steps": 8, "num_frames": 9}]


def test_enhanced_submit_has_its_own_route(client: Client, story: Story) -> None:
    client.submit(prompt="a cat", enhanced=True)
    assert story.asked == [("POST", "/api/v1/generation/enhanced/submit")]


def test_a_picture_file_travels_as_multipart(client: Client, story: Story, tmp_path: Path) -> None:
    picture = tmp_path / "cat.png"
    picture.write_bytes(b"\x89PNG")
    client.submit(prompt="ein Kätzchen", image=picture, num_frames=9, metadata={"a": 1})
    [body] = story.bodies
    assert body == {"prompt": "ein Kätzchen", "num_frames": "9", "metadata": '{"a": 1}', "image": b"\x89PNG"}


@pytest.mark.parametrize("image", ["upl_" + "0" * 32, "data:image/png;base64,AAAA"])
def test_an_upload_id_or_data_url_is_sent_as_it_is(client: Client, story: Story, image: str) -> None:
    client.submit(prompt="a cat", image=image)
    assert story.bodies == [{"prompt": "a cat", "image": image}]


def test_a_picture_that_is_not_there_is_told_by_field(client: Client, story: Story) -> None:
    with pytest.raises(InvalidRequest, match=r"image: the file can't be read .* PNG, JPEG or WebP"):
        client.submit(prompt="a cat", image="no-such.png")
    assert not story.asked


def test_a_lost_answer_is_asked_for_again_under_one_key(client: Client, story: Story) -> None:
    story.first = [lost(), lost()]
    assert client.submit(prompt="a cat").task_id == "t1"
    assert len(story.asked) == 3
    assert len({headers["idempotency-key"] for headers in story.headers}) == 1


def test_two_submits_have_two_keys_unless_told_otherwise(client: Client, story: Story) -> None:
    for key in (None, None, "mine"):
        client.submit(prompt="a cat", idempotency_key=key)
    keys = [headers["idempotency-key"] for headers in story.headers]
    assert keys[0] != keys[1]
    assert keys[2] == "mine"


def test_the_key_goes_with_every_call(client: Client, story: Story) -> None:
    client.get("t1")
    assert story.headers[0]["x-api-key"] == "secret"


def test_get_cancel_retry_delete_list_and_health(client: Client, story: Story) -> None:
    assert client.get("t1").status is Status.COMPLETED
    assert client.cancel("t1").task_id == client.retry("t1").task_id == "t1"
    client.delete("t1")
    page = client.list(status=Status.FAILED, model_type="ti2v-5b", limit=5, cursor="here")
    assert (len(page.tasks), page.next_cursor) == (1, "more")
    assert client.health()["status"] == "ok"
    assert story.asked == [
        ("GET", "/api/v1/generation/t1"),
        ("POST", "/api/v1/generation/t1/cancel"),
        ("POST", "/api/v1/generation/t1/retry"),
        ("DELETE", "/api/v1/generation/t1"),
        ("GET", "/api/v1/generation"),
        ("GET", "/health"),
    ]


def test_a_model_is_loaded_and_unloaded_by_name(client: Client, story: Story) -> None:
    resident = {"model_type": "TI2V-5B", "variant": "dev", "device": "cpu", "offload": "none", "size_bytes": 9}
    story.first = [
        JSONResponse({"model_type": "TI2V-5B", "was_loaded": False, "loaded": resident}),
        JSONResponse({"model_type": "TI2V-5B", "unloaded": [resident]}),
        problem(409, "wrong_state"),
    ]
    answer = client.load(ModelType.TI2V_5B)
    assert (answer.was_loaded, answer.loaded.size_bytes) == (False, 9)
    assert client.unload("ti2v-5b") == (answer.loaded,)
    with pytest.raises(WrongState):
        client.load("ti2v-5b")
    assert story.asked[:2] == [("POST", "/api/v1/models/load/TI2V-5B"), ("POST", "/api/v1/models/unload/ti2v-5b")]


def test_an_answer_of_another_kind_of_server_is_a_fault(client: Client, story: Story) -> None:
    story.first = [problem(200, "odd")]
    with pytest.raises(ServerFault, match="makes no sense") as caught:
        client.get("t1")
    assert "WAN22 server" in caught.value.hint


def test_a_server_that_is_not_there_is_told_with_the_cure() -> None:
    with Client("http://127.0.0.1:9", timeout_s=2) as nobody, pytest.raises(ServerFault) as caught:
        nobody.health()
    assert caught.value.detail == "No WAN22 server answers at http://127.0.0.1:9."
    assert "wan22 serve" in caught.value.hint


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "127.0.0.1:8000", "http://[::1"])
def test_a_bad_address_is_told(url: str) -> None:
    with pytest.raises(ConfigurationError, match="not the address of a server"), Client(url) as client:
        client.health()


def test_download_gives_a_whole_file(client: Client, story: Story, tmp_path: Path) -> None:
    path = client.download("t1", 0, tmp_path / "new folder" / "cat.mp4")
    assert path.read_bytes() == VIDEO
    assert [entry.name for entry in path.parent.iterdir()] == ["cat.mp4"]


def test_a_download_that_was_damaged_leaves_nothing(client: Client, story: Story, tmp_path: Path) -> None:
    story.sha256 = "0" * 64
    with pytest.raises(ServerFault, match="not what the server sent"):
        client.download("t1", 0, tmp_path / "cat.mp4")
    assert not list(tmp_path.iterdir())


def test_a_download_that_breaks_off_leaves_the_old_file(client: Client, story: Story, tmp_path: Path) -> None:
    task, old = client.get("t1"), tmp_path / "cat.mp4"
    old.write_bytes(b"old")
    story.first = [lost()]
    with pytest.raises(ServerFault, match="was lost"):
        client.download(task, 0, old)
    assert old.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_download_into_a_file_s_place_says_why_not(client: Client, story: Story, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ServerFault, match="can't be written"):
        client.download("t1", 0, tmp_path / "file" / "cat.mp4")


def test_an_output_that_is_not_there(client: Client, story: Story) -> None:
    with pytest.raises(NotFound, match="completed and has no output 3"):
        client.download("t1", 3)
