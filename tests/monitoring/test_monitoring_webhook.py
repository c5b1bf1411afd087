"""Alerts reach the address of the settings, and one that hangs, refuses or is wrong harms nothing here."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from alerts_kit import NOON, House, facts, reading
from pydantic import SecretStr
from support.loopback_hook import HANG, loopback_hook

from wan22.monitoring.webhook import MAX_WAITING, Webhook
from wan22.store import Store
from wan22.tasks import Event, EventType


@contextmanager
def sending(url: str, **changes: Any) -> Iterator[Webhook]:
    """A webhook whose thread has sent or given up everything when the block has ended."""
    webhook = Webhook(SecretStr(url), **{"waits_s": (0.01, 0.01), "timeout_s": 20.0, **changes})
    webhook.start()
    thread = webhook._thread
    yield webhook
    webhook._waiting.put(None)
    assert thread
    thread.join()
    webhook.stop()


def event(number: int = 1) -> Event:
    return Event(id=number, type=EventType.ALERT_RAISED, at=NOON, data={"rule": "disk_low"})


def lost(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the log tells of alerts that were not taken; never with the secret."""
    assert "s3cret" not in "".join(record.getMessage() for record in caplog.records if record.name != "httpx")
    return [record.getMessage() for record in caplog.records if getattr(record, "action", "") == "webhook.lost"]


def test_it_is_sent_as_the_event_that_it_is(tmp_path: Path) -> None:
    store = Store.open(None)
    low = facts(reading(tmp_path, disk_free_bytes=1))
    with loopback_hook() as hook, sending(hook.url) as webhook:
        house = House.over(store, webhook=webhook)
        house.look(low)
        house.look(facts(reading(tmp_path)))
        told = [one.model_dump(mode="json") for one in house.events()]
        assert [hook.next(), hook.next()] == told
    assert [one["type"] for one in told] == ["alert.raised", "alert.cleared"]
    store.close()


def test_what_may_pass_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    with loopback_hook(503, 500) as hook, sending(hook.url) as webhook:
        webhook.send(event())
        assert [hook.next()["id"] for _ in range(3)] == [1, 1, 1]
    assert lost(caplog) == []


def test_after_some_tries_it_is_given_up_and_the_next_is_sent(caplog: pytest.LogCaptureFixture) -> None:
    with loopback_hook(503, 503, 503) as hook, sending(hook.url) as webhook:
        webhook.send(event(1))
        webhook.send(event(2))
        assert [hook.next()["id"] for _ in range(4)] == [1, 1, 1, 2]
    assert len(lost(caplog)) == 1
    assert "503" in lost(caplog)[0]


@pytest.mark.parametrize("status", [301, 307, 400, 404])
def test_what_will_not_pass_is_tried_once(status: int, caplog: pytest.LogCaptureFixture) -> None:
    """A redirect, too: it could lead anywhere."""
    with loopback_hook(status) as hook, sending(hook.url) as webhook:
        webhook.send(event())
        hook.next()
    with pytest.raises(Empty):
        hook.taken.get_nowait()
    assert len(lost(caplog)) == 1


def test_an_address_that_hangs_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    with loopback_hook(HANG, HANG, HANG) as hook, sending(hook.url, timeout_s=0.05) as webhook:
        webhook.send(event())
        webhook.send(event(2))
        assert [hook.next()["id"] for _ in range(4)] == [1, 1, 1, 2]
    assert len(lost(caplog)) == 1
    assert "ReadTimeout" in lost(caplog)[0]


def test_an_address_that_refuses_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        with sending(f"http://127.0.0.1:{taken.getsockname()[1]}/?key=s3cret") as webhook:
            webhook.send(event())
    assert "ConnectError" in lost(caplog)[0]


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999/s3cret", "http://[/", "http://a b/", "http://xn--\u0101/"])
def test_a_wrong_address_is_logged_and_no_more(url: str, caplog: pytest.LogCaptureFixture) -> None:
    with sending(url) as webhook:
        webhook.send(event())
        webhook.send(event())
    assert len(lost(caplog)) == 2


def test_behind_an_address_that_hangs_few_wait(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with loopback_hook(HANG) as hook, sending(hook.url) as webhook:
        webhook.send(event())
        hook.next()
        for number in range(MAX_WAITING + 5):
            webhook.send(event(number))
        assert len(lost(caplog)) == 5
        hook.released.set()


def test_the_end_of_the_server_does_not_wait_for_tries() -> None:
    with loopback_hook(503) as hook:
        webhook = Webhook(SecretStr(hook.url), waits_s=(3_600,))
        webhook.start()
        thread = webhook._thread
        webhook.send(event())
        hook.next()
        webhook.stop()
        webhook.stop()
        assert thread
        thread.join()
