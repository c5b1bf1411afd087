"""Puts LoRAs on a loaded model for one request, and takes off those that it does not ask for.

A LoRA stays on between requests that share it. Without any the transformers are plain again, to the bit. Which files a
name stands for is `models.loras`'s to know.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wan22.errors import ModelCorrupt
from wan22.models.loras.files import LoraFile, LoraLayer
from wan22.pipelines.loaded import LoadedModel
from wan22.pipelines.memory import is_oom, names_oom
from wan22.pipelines.staging import renew

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

_CURE = "Put the LoRA's file there anew, then send the request again."
_LEAVE_OUT = "Leave this LoRA out, or get it from its author again."
_MAX_SAID = 200  # characters; torch lists every layer whose sizes differ


@dataclass(frozen=True)
class Adapter:
    """One file on one transformer."""

    expert: int  # 0: the high-noise expert or the only transformer; 1: the low-noise expert
    file: LoraFile
    weight: float


@names_oom("loading the LoRAs")
def put_on(model: LoadedModel, adapters: Sequence[Adapter]) -> None:
    """Make the model's LoRAs exactly these.

    Raises ModelCorrupt if a file can't be read, has values that are no numbers, can't be put on the model or does not
    reach all the layers that it names, and OutOfMemory; the model then has none.
    """
    try:
        for number, expert in enumerate(model.experts):
            _put_on_expert(expert, [adapter for adapter in adapters if adapter.expert == number])
    except BaseException:
        take_off(model)
        raise


def take_off(model: LoadedModel) -> None:
    """Make the transformers plain again."""
    for expert in model.experts:
        _unload(expert)


def any_on(model: LoadedModel) -> bool:
    """Whether any transformer has a LoRA."""
    return any(getattr(expert, "wan22_adapters", None) for expert in model.experts)


def _put_on_expert(expert: Any, wanted: Sequence[Adapter]) -> None:
    there: dict[str, _Key] = getattr(expert, "wan22_adapters", {})
    keys = [_key(adapter.file) for adapter in wanted]
    if not set(there.values()) <= set(keys):
        _unload(expert)  # all of them, since what is left must not depend on what was there before
        there = {}
    before = len(there)
    for adapter, key in zip(wanted, keys, strict=True):
        if key not in there.values():
            name = f"adapter_{len(there)}"  # peft has words of its own that a LoRA could be named like
            _load(expert, adapter.file, name)
            there[name] = key
    if len(there) > before:
        _stream_anew(expert)
    expert.wan22_adapters = there
    if wanted:
        names = {key: name for name, key in there.items()}
        expert.set_adapters([names[key] for key in keys], [adapter.weight for adapter in wanted])


def _stream_anew(expert: Any) -> None:
    """Where weights are streamed, the LoRAs' too: group offloading moves only the layers that were there when it began.

    diffusers does so by itself for a LoRA that comes through a pipeline, and when one is taken off.
    """
    from diffusers.hooks.group_offloading import _maybe_remove_and_reapply_group_offloading

    _maybe_remove_and_reapply_group_offloading(expert)
    renew(expert)


_Key = tuple[Path, int, int]


def _key(file: LoraFile) -> _Key:
    """The same for the same content: a file that was replaced is another."""
    try:
        status = file.path.stat()
    except OSError as error:
        raise _corrupt(file, f"can't be read ({error.strerror})") from error
    return file.path, status.st_size, status.st_mtime_ns


def _load(expert: Any, file: LoraFile, name: str) -> None:
    with _names_what_is_wrong(file):
        values, biases = dict(_values(file)), dict(_biases(file))
        _check_finite(file, {**values, **biases})
        expert.load_lora_adapter(values, prefix=None, adapter_name=name)
        _check_all_injected(expert, file, name)
        for layer, bias in biases.items():
            _put_bias(expert, layer, name, bias)
    logger.info("Put a LoRA on.", extra={"action": "lora_loaded", "layers": len(file.layers), "rank": file.rank})


@contextmanager
def _names_what_is_wrong(file: LoraFile) -> Iterator[None]:
    """What torch, peft and safetensors say of a file becomes ModelCorrupt; what says that memory ran out stays."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError) as error:
        raise _corrupt(file, f"can't be read ({error})") from error
    except (ValueError, TypeError, RuntimeError) as error:
        if is_oom(error):
            raise
        said = " ".join(str(error).split())[:_MAX_SAID]
        raise _corrupt(file, f"can't be put on the model ({said})") from error


def _corrupt(file: LoraFile, said: str, cure: str = _CURE) -> ModelCorrupt:
    return ModelCorrupt(f"The LoRA file {file.path.name} {said}. {cure}", hint=cure)


def _check_finite(file: LoraFile, values: Mapping[str, torch.Tensor]) -> None:
    """Now, since it would be known only after a step, and not by whose fault."""
    wrong = next((name for name, value in values.items() if not bool(value.isfinite().all())), None)
    if wrong:
        layer = wrong.removesuffix(".lora_A.weight").removesuffix(".lora_B.weight")
        raise _corrupt(file, f"has values in its layer {layer} that are no finite numbers", _LEAVE_OUT)


def _check_all_injected(expert: Any, file: LoraFile, name: str) -> None:
    injected = sum(name in module.lora_A for module in expert.modules() if hasattr(module, "lora_A"))
    if injected != len(file.layers):
        said = f"has {len(file.layers)} layers, of which {injected} were found in the model"
        raise _corrupt(file, said, "Use a LoRA that was made for this model.")


def _values(file: LoraFile) -> Iterator[tuple[str, torch.Tensor]]:
    """The matrices with diffusers' names, each layer's scale in its first one."""
    import torch
    from safetensors import safe_open

    with safe_open(file.path, framework="pt") as tensors:
        for layer in file.layers:
            yield f"{layer.name}.lora_A.weight", _scaled(layer, tensors)
            up = _wide(tensors.get_tensor(layer.up)) if layer.up else torch.eye(layer.rank)
            yield f"{layer.name}.lora_B.weight", up


def _biases(file: LoraFile) -> Iterator[tuple[str, torch.Tensor]]:
    """Those of the layers that have one."""
    from safetensors import safe_open

    with safe_open(file.path, framework="pt") as tensors:
        for layer in file.layers:
            if layer.bias:
                yield layer.name, _wide(tensors.get_tensor(layer.bias))


def _put_bias(expert: Any, layer: str, name: str, bias: torch.Tensor) -> None:
    """Onto the adapter's second matrix, where peft adds it; over weights of 8 bits it would not make one itself."""
    import torch

    up = expert.get_submodule(layer).lora_B[name]
    up.bias = torch.nn.Parameter(bias.to(up.weight.device, up.weight.dtype), requires_grad=False)


def _scaled(layer: LoraLayer, tensors: Any) -> torch.Tensor:
    down = _wide(tensors.get_tensor(layer.down))
    return down * (float(tensors.get_tensor(layer.alpha)) / layer.rank) if layer.alpha else down


def _wide(tensor: torch.Tensor) -> torch.Tensor:
    """Of 8 bits no more: torch does not multiply those."""
    return tensor.float() if tensor.dtype.itemsize == 1 else tensor


def _unload(expert: Any) -> None:
    if getattr(expert, "peft_config", None):
        expert.unload_lora()
        renew(expert)
    expert.wan22_adapters = {}
