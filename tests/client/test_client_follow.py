"""Waiting follows the event stream through breaks, and gets by without one."""

from __future__ import annotations

import threading
from itertools import repeat

import pytest
from client_story import HANG, STARTED, Story, event, problem
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse

from wan22.client import Client
from wan22.client.follow import Follower, Message, read_lines, read_messages
from wan22.errors import NotFound, ServerFault
from wan22.tasks import Event, EventType, Status


def test_wait_gives_every_event_then_the_task(client: Client, story: Story) -> None:
    story.streams = [[event(1, "task.started"), event(2, "task.progress", **STARTED), event(3, "task.completed")]]
    heard: list[Event] = []
    assert client.wait("t1", on_event=heard.append).status is Status.COMPLETED
    assert [item.type.value for item in heard] == ["task.started", "task.progress", "task.completed"]
    assert heard[1].data == STARTED


def test_a_failed_task_is_given_with_its_error(client: Client, story: Story) -> None:
    story.status, story.streams = "failed", [[event(1, "task.failed")]]
    error = client.wait("t1").error
    assert error
    assert (error.code, error.hint) == ("out_of_memory", "Smaller.")


def test_a_broken_stream_goes_on_after_the_last_event(client: Client, story: Story) -> None:
    story.status = "running"
    story.streams = [[event(1, "task.started")], [], [event(2, "task.completed")]]
    heard: list[Event] = []
    client.wait("t1", on_event=heard.append)
    assert [item.id for item in heard] == [1, 2]
    assert story.resumed_from == [None, "1", "1"]


def test_a_stream_that_ends_after_the_task_has_is_not_opened_again(client: Client, story: Story) -> None:
    story.streams = [[event(1, "task.started")]]
    heard: list[Event] = []
    client.wait("t1", on_event=heard.append)
    assert [item.type for item in heard] == [EventType.TASK_STARTED, EventType.TASK_COMPLETED]


def test_a_silent_stream_is_left_once_the_task_has_ended(client: Client, story: Story) -> None:
    story.streams = [[HANG]]
    assert client.wait("t1").status is Status.COMPLETED


def test_events_of_other_tasks_and_of_tomorrow_are_passed_over(client: Client, story: Story) -> None:
    other = event(1, "task.completed") | {"task_id": "t2"}
    story.streams = [[other, event(2, "task.dreamt"), event(3, "task.completed")]]
    assert [item.id for item in client.follow("t1")] == [3]


def test_without_a_stream_the_task_is_polled(client: Client, story: Story) -> None:
    story.event_answer = PlainTextResponse("no streams here")
    [only] = client.follow("t1")
    assert (only.id, only.type) == (0, EventType.TASK_COMPLETED)


def test_a_task_that_is_not_there(client: Client, story: Story) -> None:
    story.event_answer = problem(404, "not_found")
    with pytest.raises(NotFound, match="It is not_found"):
        client.wait("t1")


def test_a_server_that_comes_back_is_waited_for(client: Client, story: Story) -> None:
    story.status = "running"
    story.streams = [[], [event(1, "task.completed")]]
    story.first = [problem(503, "shutting_down")]
    client.wait("t1")
    assert len(story.resumed_from) == 2


def test_patience_ends_with_what_is_wrong() -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(ServerFault, match="No WAN22 server answers"):
        list(Follower(client._http, "t1", patience_s=-1))


def test_the_time_limit_leaves_the_task_alone(client: Client, story: Story) -> None:
    story.status, story.streams = "running", [[HANG]]
    with pytest.raises(ServerFault, match=r"t1 has not ended within 0\.3 s") as caught:
        client.wait("t1", timeout_s=0.3)
    assert "goes on" in caught.value.hint
    assert ("POST", "/api/v1/generation/t1/cancel") not in story.asked


def test_stop_ends_a_wait_from_another_thread(client: Client, story: Story) -> None:
    story.status, story.streams = "running", [[event(1, "task.started"), HANG]]
    follower = client.follow("t1")
    started = threading.Event()
    thread = threading.Thread(target=lambda: [started.set() for _ in follower])
    thread.start()
    assert started.wait(10)
    follower.stop()
    thread.join(10)
    assert not thread.is_alive()


def test_messages_are_read_as_the_standard_says() -> None:
    lines = [
        ": hello",
        "id: 7",
        "event: x",
        "data: a",
        "data:b",
        "",
        "",
        "data: c",
        "",
        "id",
        "data: d",
        "",
        "data: cut",
    ]
    assert list(read_messages(lines)) == [
        Message("", ""), Message("7", "a\nb"), Message("7", "c"), Message("", "d"),
    ]  # fmt: skip


@given(st.lists(st.text().filter(lambda line: "\n" not in line and not line.endswith("\r"))), st.integers(1, 9))
def test_lines_are_the_same_however_they_arrive(lines: list[str], size: int) -> None:
    sent = "".join(f"{line}\r\n" for line in lines).encode()
    assert list(read_lines(sent[at : at + size] for at in range(0, len(sent), size))) == lines


@given(st.lists(st.text(), max_size=8))
def test_any_lines_can_be_read(lines: list[str]) -> None:
    messages = list(read_messages(lines))
    assert len(messages) <= len(lines)
    assert all(isinstance(message, Message) for message in messages)


def test_many_messages_are_read_one_by_one() -> None:
    endless = read_messages(line for pair in repeat(["data: x", ""]) for line in pair)
    assert [next(endless).data for _ in range(3)] == ["x", "x", "x"]
