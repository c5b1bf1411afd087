"""One server for each data folder, whatever became of the last one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from wan22.errors import ConfigurationError
from wan22.store import Store

HOLD = """
import sys, time
from pathlib import Path
from wan22.store import Store
store = Store.open(Path(sys.argv[1]))
print("open", flush=True)
time.sleep(60)
"""


def test_a_second_server_is_told_who_is_there_and_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "wan22.db"
    first = Store.open(path)
    with pytest.raises(ConfigurationError, match=rf"process {os.getpid()} .*Stop it .*WAN22_HOME"):
        Store.open(path)
    first.close()
    Store.open(path).close()


def test_another_process_holds_the_folder_until_it_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "wan22.db"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "open\n"
        with pytest.raises(ConfigurationError, match=f"process {other.pid} "):
            Store.open(path)
        other.kill()
    Store.open(path).close()


def test_a_refused_start_lets_go_of_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "wan22.db"
    path.write_bytes(b"rubbish" * 1000)
    for _ in range(2):
        with pytest.raises(Exception, match="not a database"):
            Store.open(path)
    path.unlink()
    Store.open(path).close()


def test_a_folder_that_cant_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigurationError, match=r"file.* can't be used.*WAN22_HOME"):
        Store.open(tmp_path / "file" / "wan22.db")


def test_stores_in_memory_know_nothing_of_each_other() -> None:
    one, two = Store.open(None), Store.open(None)
    assert one.write(lambda tables: tables.meta.next_boot()) == 1
    assert two.write(lambda tables: tables.meta.next_boot()) == 1
    one.close()
    two.close()
