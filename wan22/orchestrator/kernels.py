"""By which code the blocks of a plan are computed: whose attention, and whether compiled. Pure; it moves no weights."""

from __future__ import annotations

from wan22.hardware.attention import NATIVE, choose_attention
from wan22.hardware.compiling import compile_obstacle
from wan22.hardware.machine import Machine
from wan22.settings import DeviceSettings
from wan22.tasks import Choice, Plan


def with_kernels(plan: Plan, machine: Machine, settings: DeviceSettings) -> Plan:
    """The plan, of which all else is settled, with these two and their reasons.

    Raises ConfigurationError if the attention of the settings is not there.
    """
    attention = _attention(plan, machine, settings)
    compiling = _compiling(plan, machine) if settings.compile else None
    choices = [choice for choice in (attention, compiling) if choice]
    return plan.model_copy(
        update={
            "attention": attention.choice,
            "compiled": compiling is not None and compiling.choice == "blocks",
            "choices": (*plan.choices, *choices),
        }
    )


def _attention(plan: Plan, machine: Machine, settings: DeviceSettings) -> Choice:
    found = choose_attention(machine, plan.device, settings.attention)
    why = "the setting device.attention says so"
    if settings.attention == "auto":
        why = "torch's own, which picks its kernel by itself; none was measured to be faster here"
    elif found != NATIVE and _compute(plan) == "fp32":
        found, why = NATIVE, f"{found} calculates in 16 bits, and this plan in fp32"
    return Choice(what="attention", choice=found, why=why)


def _compiling(plan: Plan, machine: Machine) -> Choice:
    obstacle = _not_compiled(plan) or compile_obstacle(machine, plan.device)
    why = obstacle or "the setting device.compile says so"
    return Choice(what="compile", choice="none" if obstacle else "blocks", why=why)


def _not_compiled(plan: Plan) -> str | None:
    """What of the plan stands in the way of compiling."""
    if plan.offload in ("blocks", "group"):
        return "weights are streamed, and what fetches them can't be compiled"
    if plan.slices:
        return "blocks work in slices, and those are of our own making, step by step"
    if plan.step_cache:
        return "there is a step cache, which decides at each pass anew which blocks run"
    return None


def _compute(plan: Plan) -> str:
    return plan.compute or plan.precision["transformer"]
