"""How fast the last download was, kept among the models so that a later start and the command line know it, too."""

from __future__ import annotations

import logging
from pathlib import Path

from wan22.models.download.disk import read_json, write_json
from wan22.models.download.progress import Traffic

logger = logging.getLogger(__name__)

_FASTEST = 1e12  # what is told beyond is no speed

COUNTS_FROM = 1_000_000
"""Bytes: of fewer, the time is that of asking, and says nothing of the line."""


class LastSpeed:
    """The record of it in a folder of models."""

    def __init__(self, models_dir: Path) -> None:
        self._path = models_dir / ".wan22" / "speed.json"

    def find(self) -> float | None:
        """Bytes a second; None before the first download, and where the record is none."""
        speed = read_json(self._path).get("bytes_per_s")
        return speed if isinstance(speed, float) and 1 <= speed < _FASTEST else None

    def keep(self, traffic: Traffic) -> None:
        """Note what a run brought over the network, whether it was whole or was stopped."""
        if traffic.fetched_bytes < COUNTS_FROM or traffic.seconds <= 0:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_json(self._path, {"bytes_per_s": traffic.fetched_bytes / traffic.seconds})
        except OSError as error:  # a full disk, mostly: the download itself tells of it
            logger.warning("%s can't be written: %s", self._path, error, extra={"action": "download.speed_lost"})
