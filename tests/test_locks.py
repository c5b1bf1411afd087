"""A lock is one process's at a time, names its holder, and goes when it is released or its process dies."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from wan22.locks import FileLock

HOLD = """
import sys, time
from pathlib import Path
from wan22.locks import FileLock
lock = FileLock(Path(sys.argv[1]))
print(lock.take(), flush=True)
time.sleep(60)
"""


def test_it_is_held_by_one_and_says_by_whom(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert first.take()
    assert not second.take()
    assert second.holder().startswith(f"process {os.getpid()} on ")
    first.release()
    first.release()
    assert second.take()
    second.release()


def test_a_lock_file_of_an_unknown_writer_says_so(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    assert lock.holder() == "it does not say which"
    lock.release()


def test_a_process_that_is_killed_lets_go(tmp_path: Path) -> None:
    path, mine = tmp_path / "lock", FileLock(tmp_path / "lock")
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "True\n"
        assert not mine.take()
        assert f"process {other.pid} " in mine.holder()
        other.kill()
    assert mine.take()
    mine.release()
