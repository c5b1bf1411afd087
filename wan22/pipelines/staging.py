"""Weights that wait in RAM: each network comes to the device for its phase, and the one before it goes.

Of a transformer that is too large even so, some blocks stay in RAM. Each is fetched while the one before it is used,
and goes after its pass; those that stay on the device are spread among them, so that each copy has the most time.
The copies are those of diffusers' group offloading, which keeps them pinned, knows torchao's tensors, and leaves a
block's place in RAM as it was when it goes. What is fetched when is decided here: diffusers streams all blocks or none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import psutil

from wan22.models.eight_bit import held_bytes, is_any_narrow

_HOOK = "block_streaming"  # not diffusers' own name, under which it would stream all blocks anew after each LoRA


class Stage:
    """The networks of one model that take turns on the device. Those that it does not know are where they are."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._actors: dict[int, _Actor] = {}
        self._there: _Actor | None = None

    def add(self, network: Any, *, resident_blocks: int | None = None, comes_itself: bool = False) -> None:
        """Let a network on the CPU wait for its turns. `comes_itself`: its layers are streamed already."""
        actor = self._actors[id(network)] = _Actor(network, self._device, comes_itself=comes_itself)
        actor.set_up(resident_blocks)
        network.wan22_renew = actor.renew
        if hasattr(network, "blocks"):  # a transformer is called by diffusers' loop, and not by a phase of ours
            network.register_forward_pre_hook(lambda *_: self.enter(network))

    def enter(self, network: Any) -> None:
        """The network's turn begins: all others have gone when it has come."""
        actor = self._actors.get(id(network))
        if actor is None or actor is self._there:
            return
        self.clear()
        self._there = actor  # before it comes: of one that did not fit a part may be there
        actor.come()

    def clear(self) -> None:
        """All have gone."""
        there, self._there = self._there, None
        if there:
            there.go()

    def keep(self, resident_blocks: int | None) -> None:
        """Of each transformer so many blocks stay on the device during its turn; None: all."""
        for actor in self._actors.values():
            if actor.streams(resident_blocks):
                self.clear()
                actor.set_up(resident_blocks)

    def close(self) -> None:
        """Forget all networks, which go."""
        self.clear()
        self._actors.clear()


def renew(network: Any) -> None:
    """After layers of the network were replaced or added: what waits and what is streamed is gathered anew."""
    if again := getattr(network, "wan22_renew", None):
        again()


def spread(streamed: int, blocks: int) -> tuple[int, ...]:
    """Which of the blocks are streamed, as evenly as can be."""
    return tuple((2 * index + 1) * blocks // (2 * streamed) for index in range(streamed))


@dataclass(eq=False)
class _Actor:
    """One network and its copies in RAM."""

    network: Any
    device: str
    comes_itself: bool
    _resident: int | None = None
    _whole: Any = None  # diffusers' group of all that is there for a whole turn
    _passing: Sequence[Any] = ()  # its groups of one block each
    _stream: Any = field(default=None, repr=False)

    def streams(self, resident: int | None) -> bool:
        """Whether another number of blocks would be streamed than now."""
        return hasattr(self.network, "blocks") and not self.comes_itself and resident != self._resident

    def renew(self) -> None:
        """With the layers of now; while it is not there."""
        self.set_up(self._resident)

    def set_up(self, resident: int | None) -> None:
        """Gather what comes for a turn, and hook the blocks that come for a pass."""
        if self.comes_itself:
            return
        self._resident = resident
        blocks = list(getattr(self.network, "blocks", ()))
        _unhook(blocks)
        streamed = [] if resident is None else [blocks[i] for i in spread(max(0, len(blocks) - resident), len(blocks))]
        self._stream = self._stream or _stream_of(self.device)
        make = _Groups(self.network, self.device, self._stream)
        self._whole = make.rest(streamed) if streamed else make.of([self.network])
        self._whole.offload_()
        self._passing = make.hooked(streamed)

    def come(self) -> None:
        """Have on the device what is there for a whole turn."""
        if self._whole:
            self._whole.onload_()
            if self._stream:
                self._stream.synchronize()

    def go(self) -> None:
        """Give back the device's memory."""
        import torch

        if self._stream:
            self._stream.synchronize()  # a block may be on its way for a pass that does not come
        for group in filter(None, (self._whole, *self._passing)):
            group.offload_()
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()  # what was copied on another stream can't be used by this one before


@dataclass(frozen=True)
class _Groups:
    """Makes diffusers' groups of one network."""

    network: Any
    device: str
    stream: Any

    def of(self, modules: list[Any], **beside: Any) -> Any:
        """The group of these modules."""
        import torch
        from diffusers.hooks.group_offloading import ModuleGroup

        return ModuleGroup(
            modules=modules,
            offload_device=torch.device("cpu"),
            onload_device=torch.device(self.device),
            offload_leader=modules[-1],
            onload_leader=modules[0],
            stream=self.stream,
            low_cpu_mem_usage=self.stream is not None and is_tight(self.network),
            **beside,
        )

    def rest(self, streamed: list[Any]) -> Any:
        """The group of all that is not streamed."""
        away = {id(block) for block in streamed}
        stay = [block for block in self.network.blocks if id(block) not in away]
        others = [child for child in self.network.children() if child is not self.network.blocks]
        own = {
            "parameters": list(self.network.parameters(recurse=False)),
            "buffers": list(self.network.buffers(recurse=False)),
        }
        return self.of([*others, *stay], **own)

    def hooked(self, blocks: list[Any]) -> list[Any]:
        """A group for each of these blocks, which fetches the next one when its own pass begins, in a ring."""
        import torch
        from diffusers.hooks.group_offloading import GroupOffloadingConfig, GroupOffloadingHook, GroupOffloadingType
        from diffusers.hooks.hooks import HookRegistry

        config = GroupOffloadingConfig(
            onload_device=torch.device(self.device),
            offload_device=torch.device("cpu"),
            offload_type=GroupOffloadingType.BLOCK_LEVEL,
            non_blocking=self.stream is not None,
            record_stream=False,
            low_cpu_mem_usage=False,
            stream=self.stream,
        )
        hooks = [GroupOffloadingHook(self.of([block]), config=config) for block in blocks]
        for block, hook in zip(blocks, hooks, strict=True):
            HookRegistry.check_if_exists_or_initialize(block).register_hook(hook, _HOOK)
        if self.stream:
            in_a_ring(hooks)
        return [hook.group for hook in hooks]


def in_a_ring(hooks: Sequence[Any]) -> None:
    """Let each of diffusers' hooks fetch the next one's group, the last one the first's, for the pass that follows.

    A hook whose group is not there, as at first and after a pass that was left, fetches it itself and waits.
    """
    for hook, following in zip(hooks, [*hooks[1:], *hooks[:1]], strict=True):
        hook.group.onload_self = False  # one that fetches itself does not wait for what it fetched
        hook.next_group = following.group if following is not hook else None


def is_tight(network: Any) -> bool:
    """Whether the RAM has no room for a pinned copy, which CUDA rounds up to powers of two.

    Then each piece is pinned when its turn comes, several times slower; never torchao's, of which diffusers then keeps
    no copy to come back to.
    """
    return not is_any_narrow(network) and 2 * held_bytes(network) > psutil.virtual_memory().available


def _stream_of(device: str) -> Any:
    """For copies beside the computing, where the device has such."""
    import torch

    return torch.cuda.Stream(device) if device.startswith("cuda") else None


def _unhook(blocks: Sequence[Any]) -> None:
    for block in blocks:
        registry = getattr(block, "_diffusers_hook", None)
        if registry and registry.get_hook(_HOOK):
            registry.remove_hook(_HOOK, recurse=False)
