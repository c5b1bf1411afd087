"""Turns what a caller said into a request and a plan, with the reason of every choice. Touches no disk and no torch."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from wan22.hardware.choose import choose_device, choose_offload, choose_precision, gpu_of
from wan22.hardware.machine import Machine
from wan22.models.geometry import render_for
from wan22.models.resolve import resolve
from wan22.models.variants import Models, Variant
from wan22.settings import DeviceSettings
from wan22.tasks import Choice, Draft, ImageRef, Plan, Request

SEED_BITS = 32
"""Of a seed that we pick: short enough to read aloud, and in every other program's range."""


class Planner:
    """Plans requests for one machine; looks only at what `probe` says and at which weights are on disk."""

    def __init__(self, models: Models, settings: DeviceSettings, probe: Callable[[], Machine]) -> None:
        self._models = models
        self._settings = settings
        self._probe = probe

    def prepare(
        self, draft: Draft, *, image: ImageRef | None = None, last_image: ImageRef | None = None
    ) -> tuple[Request, Plan]:
        """The request with every default filled in, and how it will be done.

        Raises InvalidRequest naming each wrong field, ModelMissing if the asked-for weights are not on disk, and
        ConfigurationError if the configured device is not there.
        """
        variant = self._models.for_draft(draft)
        request = resolve(draft, variant, image=image, last_image=last_image, pick_seed=_pick_seed)
        return request, self.plan(request, variant)

    def plan(self, request: Request, variant: Variant) -> Plan:
        """How `request` will be carried out with the weights of `variant` on this machine."""
        machine = self._probe()
        device = choose_device(machine, self._settings.device)
        precision = choose_precision(machine, device, request.quantization or self._asked_precision())
        offload, offload_why = choose_offload(
            self._models.weights_bytes(variant), gpu_of(machine, device), self._settings.vram_reserve_bytes
        )
        return Plan(
            variant=variant.name,
            model_files=f"{variant.spec.slug}/{variant.name}",
            device=device,
            precision={
                "transformer": precision.transformer,
                "text_encoder": precision.text_encoder,
                "vae": precision.vae,
            },
            offload=offload,
            render=render_for(
                width=request.width,
                height=request.height,
                num_frames=request.num_frames,
                spec=variant.spec,
                native_area=variant.native_area,
                keep_last=request.last_image is not None,
            ),
            choices=(
                Choice(what="variant", choice=variant.name, why=variant.why),
                Choice(what="device", choice=device, why=_device_why(machine, device)),
                Choice(what="precision", choice=precision.transformer, why=precision.why),
                Choice(what="offload", choice=offload, why=offload_why),
            ),
        )

    def _asked_precision(self) -> str | None:
        return None if self._settings.precision == "auto" else self._settings.precision


def _pick_seed() -> int:
    return secrets.randbits(SEED_BITS)


def _device_why(machine: Machine, device: str) -> str:
    gpu = gpu_of(machine, device)
    return f"{gpu.name} is there and torch can use it" if gpu else "no GPU that torch can use was found"
