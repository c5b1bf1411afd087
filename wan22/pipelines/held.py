"""Keeps weights that are streamed on the device while they are used many times over. Sets up no streaming.

Group offloading of single layers fetches a layer's weights before each of its passes and drops them after it. Whoever
runs the same layers over many slices would fetch all of them once for every slice.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

_HOOKS = ("group_offloading", "layer_execution_tracker")  # the second finds out, in a first pass, what to fetch ahead


@contextmanager
def held(module: Any) -> Iterator[None]:
    """Inside, the weights of all modules within `module` are on the device, and dropped at the end.

    Each is fetched once, or twice where a pass without this has taught diffusers another order to fetch ahead in.
    The module's own weights are whoever's who called it: its own hook wraps its whole pass. Where nothing within it is
    streamed, this does nothing. Its weights count as device memory meanwhile, together.
    """
    with ExitStack() as stack:
        for inner in module.modules():
            if inner is not module:
                for hook in _hooks(inner):
                    stack.enter_context(_fetched(hook, inner))
        yield


def _hooks(module: Any) -> Iterator[Any]:
    """diffusers' hooks on one module that must see a single pass."""
    registry = getattr(module, "_diffusers_hook", None)
    if registry:
        yield from filter(None, map(registry.get_hook, _HOOKS))


@contextmanager
def _fetched(hook: Any, module: Any) -> Iterator[None]:
    """One pass to the hook, however many there are.

    All of them begin before the first is used: a layer that is fetched anew while the GPU still computes with it would
    lose its memory to the next one's weights.
    """
    from diffusers.hooks import ModelHook

    idle, calls = ModelHook(), hook.fn_ref
    hook.pre_forward(module)
    calls.pre_forward, calls.post_forward = idle.pre_forward, idle.post_forward
    try:
        yield
    finally:
        calls.pre_forward, calls.post_forward = hook.pre_forward, hook.post_forward
        hook.post_forward(module, None)
