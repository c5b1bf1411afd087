"""A download in a process of its own, so that a test can kill it: `python -m support.download_child`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from wan22.models.download import Download, Hub, HubSource, Options, choose, make_plan


def start(endpoint: str, repository: str, target: Path) -> subprocess.Popen[bytes]:
    """A running download of all files of a repository on a loopback hub."""
    path = os.pathsep.join([str(Path(__file__).parents[1]), str(Path(__file__).parents[2])])
    command = [sys.executable, "-m", "support.download_child", endpoint, repository, str(target)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path})


def main(endpoint: str, repository: str, target: str) -> None:
    source = HubSource(repository, endpoint)
    listing = Hub(source).find_listing("main", Path(target))
    Download(make_plan(listing, choose(listing), Path(target)), [source], Options()).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
