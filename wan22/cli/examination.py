"""All checks of `doctor`, in the order in which they are told."""

from __future__ import annotations

from collections.abc import Iterator

from wan22.cli import checks
from wan22.cli.finding import Finding
from wan22.cli.model_checks import check_models
from wan22.hardware.probe import probe
from wan22.settings import Settings


def examine(settings: Settings) -> Iterator[Finding]:
    """Every finding, as soon as it is made."""
    machine = probe()
    yield checks.check_python()
    yield checks.check_torch(machine)
    yield from checks.check_gpus(machine)
    yield from checks.check_sysmem_fallback(machine)
    yield checks.check_memory(machine)
    yield checks.check_home(settings)
    yield checks.check_ffmpeg()
    yield checks.check_sqlite()
    yield checks.check_port(settings)
    yield checks.check_ipv6()
    yield from check_models(machine, settings)
