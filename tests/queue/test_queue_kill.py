"""kill -9 at any moment: everything that was acknowledged is there afterwards, and the database is whole."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from queue_kit import opened

from wan22.tasks import Status

KILLS = 10

SERVER = """
import sys
from pathlib import Path
from queue_kit import opened

with opened(Path(sys.argv[1]), max_queued=100_000, max_attempts=1_000) as house:
    while True:
        for _ in range(3):
            print("accepted", house.submit().task_id, flush=True)
        claim = house.claim()
        if house.queue.complete(claim, []):
            print("completed", claim.task.task_id, flush=True)
        doomed = house.submit().task_id
        house.queue.cancel(doomed)
        print("cancelled", doomed, flush=True)
        house.claim()  # never finished: the next start must put it back
"""
"""Tells what has been promised only after the queue has promised it."""


def told_until_killed(path: Path, after_s: float) -> list[tuple[str, str]]:
    """Run the server until it has told something, kill it a random moment later; what it told."""
    tests = Path(__file__).parents[1]
    search = os.pathsep.join([str(tests), str(tests / "queue")])
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": search},
    ) as server:
        assert server.stdout
        first = server.stdout.readline()
        time.sleep(after_s)
        server.kill()
        told = [first, *server.stdout]
    return [(what, task_id) for what, task_id in (line.split() for line in told if line.endswith("\n"))]


def test_what_was_acknowledged_survives_every_kill(tmp_path: Path) -> None:
    path, chance = tmp_path / "wan22.db", random.Random(22)
    told = [each for _ in range(KILLS) for each in told_until_killed(path, chance.uniform(0, 0.15))]
    assert {what for what, _ in told} == {"accepted", "completed", "cancelled"}
    with opened(path) as house:
        for what, task_id in told:
            status = house.queue.get(task_id).status
            assert what == "accepted" or status.value == what, "an end is for ever"
        assert house.queue.counts()[Status.RUNNING] == 0
        lives: dict[str | None, list[str]] = {}
        for event in house.stored_events():
            lives.setdefault(event.task_id, []).append(event.data["status"])
        assert all(house.queue.get(str(task_id)).status.value == life[-1] for task_id, life in lives.items())
        assert lives.keys() >= {task_id for _, task_id in told}
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
