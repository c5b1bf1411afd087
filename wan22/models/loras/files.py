"""One LoRA file, by its header: its layers with their sizes, who wrote it, and why it can't be used where it can't.

Reads no tensor and no pickle. What a file's name says is in `names`; whether it fits a model, in `fit`.
"""

from __future__ import annotations

import math
import re
import stat
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from safetensors import SafetensorError, safe_open

from wan22.models.loras.keys import Format, Meaning, Part, block_of, in_block, is_image_branch, meaning

SUFFIX = ".safetensors"
PICKLES = frozenset({".pt", ".pth", ".bin", ".ckpt", ".pkl"})
MAX_TENSORS = 20_000  # ours: forty blocks with every part of a LoRA are 2,000, and a header may name millions

_PICKLE = "Such files can run code when they are read, so that they never are; get the LoRA as a safetensors file."
_DAMAGED = "It is cut off, damaged or no safetensors file; download it again."
_TOO_MANY = f"It names more than {MAX_TENSORS:,} tensors, which no LoRA has; remove it."
_NO_LORA = "It has no LoRA layers; if it is a whole model, it belongs into that model's folder."
_STRANGE = "Its keys are in no known format (the first is for a layer {name}); get it in ComfyUI's or diffusers'."
_OTHER_KIND = "It is a LoKr or LoHa, and these are not read; use a LoRA."
_BOTH_EXPERTS = "It holds both experts in one file; split it into two, named alike but for high_noise and low_noise."
_NO_FLOATS = "Its {key} is of {kind}, which are no numbers of a LoRA; get the LoRA from its author again."
_FLOATS = frozenset({"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"})
_WHOLE = frozenset({"I64", "I32", "I16", "I8", "U8"})
"""An alpha may be one of these, too: some trainers keep the setting as it was typed."""
_OTHER_KINDS = (".lokr_", ".hada_")
_FULL_RANGE = 1_000  # timesteps

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class LoraLayer:
    """The LoRA of one layer of the transformer: the file's keys of its tensors, and its sizes.

    It adds `up @ down * alpha / rank` to the layer's weight, where `up` is outputs x rank and `down` rank x inputs, and
    `bias` to its bias. Without an `alpha` the factor is 1; without an `up`, `down` is the whole change and `up` is one.
    """

    name: str  # in diffusers' WanTransformer3DModel
    down: str
    up: str | None
    alpha: str | None
    bias: str | None
    rank: int
    inputs: int
    outputs: int


@dataclass(frozen=True)
class LoraFile:
    """What the header of a file tells.

    A loader must find all of `layers` injected, no fewer: what else the file holds is in `foreign` and `notes`. Where
    some layers have a bias, diffusers wants one for every layer, and zeros stand for the others'.
    """

    path: Path
    size_bytes: int = 0
    format: Format | None = None
    layers: tuple[LoraLayer, ...] = ()
    foreign: tuple[str, ...] = ()  # layers with a LoRA that no Wan 2.2 transformer has, by their names in the file
    problem: str | None = None  # why it can't be used with any model, in a sentence with its cure
    notes: tuple[str, ...] = ()
    timesteps: tuple[int, int] | None = None  # it was trained on, where the trainer says so
    titles: tuple[str, ...] = ()  # that the trainer gave it
    second: bool = False  # its keys name `transformer_2`, the low-noise expert

    @property
    def rank(self) -> int:
        """The largest of its layers; 0 without layers."""
        return max((layer.rank for layer in self.layers if layer.up), default=0)

    @property
    def width(self) -> int | None:
        """Inner width of the transformers that it was made for; None if no layer tells."""
        widths = (layer.inputs for layer in self.layers if block_of(layer.name) is not None)
        inner = (layer.outputs for layer in self.layers if in_block(layer.name) == "ffn.net.2")
        return next(inner, None) or next(widths, None)

    @property
    def ffn_width(self) -> int | None:
        """Width inside their feed-forward layers; None if no layer tells."""
        sizes = {"ffn.net.0.proj": "outputs", "ffn.net.2": "inputs"}
        told = (getattr(layer, sizes[name]) for layer in self.layers if (name := in_block(layer.name)) in sizes)
        return next(told, None)

    @property
    def blocks(self) -> int:
        """How many blocks they have at least."""
        numbers = (block_of(layer.name) for layer in self.layers)
        return max((number + 1 for number in numbers if number is not None), default=0)


def read(path: Path) -> LoraFile:
    """What the file is. Never raises: what is wrong with it is its `problem`."""
    if path.suffix.lower() in PICKLES:
        return LoraFile(path, problem=_PICKLE)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for its other end
            return LoraFile(path, problem="It is no regular file; remove it.")
        return _read(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        why = error.strerror or type(error).__name__
        return LoraFile(path, problem=f"It can't be opened ({why}); let the server's account read it.")


@lru_cache(maxsize=1024)  # every listing asks, and a header is a few hundred kB
def _read(path: Path, size_bytes: int, _changed_ns: int) -> LoraFile:
    """As long as size and time stay. What the system refuses raises OSError, and so is asked for again."""
    path.open("rb").close()  # safetensors says of a file that may not be read that there is none
    try:
        with safe_open(path, framework="numpy") as file:
            keys = file.keys()
            if len(keys) > MAX_TENSORS:
                return LoraFile(path, size_bytes, problem=_TOO_MANY)
            # the same few thousand keys are in hundreds of files
            slices = {sys.intern(key): file.get_slice(key) for key in keys}
            shapes = {key: tuple(part.get_shape()) for key, part in slices.items()}
            kinds = {key: part.get_dtype() for key, part in slices.items()}
            metadata = file.metadata() or {}
    except SafetensorError:
        return LoraFile(path, size_bytes, problem=_DAMAGED)
    if wrong := next((key for key, kind in kinds.items() if not _can_be_read(meaning(key), kind)), None):
        return LoraFile(path, size_bytes, problem=_NO_FLOATS.format(key=wrong, kind=kinds[wrong]))
    return _understood(LoraFile(path, size_bytes), shapes, metadata)


def _can_be_read(found: Meaning | None, kind: str) -> bool:
    """Whether a tensor is of a kind that serves for what it means; what has no meaning is not read."""
    return found is None or kind in _FLOATS or (found.part == "alpha" and kind in _WHOLE)


def shown(layer: str) -> str:
    """A layer's name from a file, as it can stand in a message."""
    return re.sub(r"[^\w.-]", "?", layer[:60])


class _Broken(Exception):
    """A layer is not whole; the text is the file's problem."""


def _understood(file: LoraFile, shapes: Shapes, metadata: Mapping[str, str]) -> LoraFile:
    said = {key: found for key in shapes if (found := meaning(key))}
    file = replace(file, format=_format(said), timesteps=_timesteps(metadata), titles=_titles(metadata))
    experts = {found.second for found in said.values()}
    if len(experts) > 1:
        return replace(file, problem=_BOTH_EXPERTS)
    try:
        layers = tuple(_layers(said, shapes))
    except _Broken as broken:
        return replace(file, problem=str(broken))
    file = replace(file, layers=layers, foreign=_foreign(said), second=experts == {True})
    if not layers:
        other = any(kind in key for key in shapes for kind in _OTHER_KINDS)
        strange = _STRANGE.format(name=shown(file.foreign[0])) if file.foreign else _NO_LORA
        return replace(file, problem=_OTHER_KIND if other else strange)
    return replace(file, notes=tuple(_notes(said, layers)))


def _format(said: Mapping[str, Meaning]) -> Format | None:
    """The commonest one, as tools that change files may mix them."""
    formats = Counter(found.format for found in said.values() if found.part in ("down", "up"))
    first = max(formats, key=lambda one: formats[one], default=None)
    differences = any(found.part == "difference" or key.endswith(".diff_b") for key, found in said.items())
    return "lightx2v" if first == "original" and differences else first


def _layers(said: Mapping[str, Meaning], shapes: Shapes) -> Iterator[LoraLayer]:
    by_layer: dict[str, dict[Part, str]] = {}
    for key, found in said.items():
        if found.known:
            parts = by_layer.setdefault(sys.intern(found.layer), {})
            if found.part in parts:
                raise _Broken(f"It has the layer {found.layer} twice; get the LoRA from its author again.")
            parts[found.part] = key
    for name, parts in by_layer.items():
        if name == "proj_out" and "difference" in parts and not parts.keys() & {"down", "up"}:
            parts["down"] = parts["difference"]  # lightx2v's; diffusers reads it in the same way
        if parts.keys() & {"down", "up"}:
            yield _layer(name, parts, shapes)


def _layer(name: str, parts: Mapping[Part, str], shapes: Shapes) -> LoraLayer:
    down = shapes.get(parts.get("down", ""), ())
    whole = parts.get("down", "").endswith(".diff")
    up = down[:1] * 2 if whole else shapes.get(parts.get("up", ""), ())
    if len(down) != 2 or len(up) != 2 or down[0] != up[1] or 0 in down + up:
        raise _Broken(f"Its layer {name} lacks one of its two matrices, or they don't match; download it again.")
    alpha, bias = parts.get("alpha"), parts.get("bias")
    if alpha and math.prod(shapes[alpha]) != 1:
        raise _Broken(f"The alpha of its layer {name} is no single number; get the LoRA from its author again.")
    if bias and shapes[bias] != up[:1]:
        raise _Broken(f"The bias of its layer {name} does not match; download it again.")
    return LoraLayer(
        name,
        parts["down"],
        parts.get("up"),
        alpha,
        bias,
        rank=down[0],
        inputs=down[1],
        outputs=up[0],
    )


def _foreign(said: Mapping[str, Meaning]) -> tuple[str, ...]:
    names = (f.layer for f in said.values() if not f.known and f.part in ("down", "up"))
    return tuple(sorted({name for name in names if not is_image_branch(name)}))


def _notes(said: Mapping[str, Meaning], layers: tuple[LoraLayer, ...]) -> Iterator[str]:
    """What of the file is left out."""
    used = {key for layer in layers for key in (layer.down, layer.bias) if key}
    image = {key for key, found in said.items() if is_image_branch(found.layer)}
    if image:
        yield f"{len(image)} tensors are for an image branch, which Wan 2.2 does not have; they are left out."
    unused = [said[key].part for key in said.keys() - used - image]
    differences = sum(part in ("difference", "bias") for part in unused)
    if differences:
        yield f"{differences} changes of norms, biases and the like are no LoRA layers; they are left out."
    if "magnitude" in unused:
        yield "It is a DoRA, whose magnitudes are left out, so that it works differently from how it was trained."


def _timesteps(metadata: Mapping[str, str]) -> tuple[int, int] | None:
    """As trainers write it: "875,1000". The whole range says nothing of an expert, and neither does what is none."""
    found = re.fullmatch(r"\s*([0-9]{1,4})\s*,\s*([0-9]{1,4})\s*", metadata.get("modelspec.timestep_range", ""))
    if found is None:
        return None
    first, last = int(found[1]), int(found[2])
    return (first, last) if first < last <= _FULL_RANGE else None


def _titles(metadata: Mapping[str, str]) -> tuple[str, ...]:
    given = (metadata.get(key, "").strip() for key in ("ss_output_name", "modelspec.title"))
    return tuple(dict.fromkeys(title[:200] for title in given if title))
