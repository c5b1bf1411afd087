"""What callers are told of the LoRAs on disk, and which models each fits."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from wan22.api.services import Services
from wan22.api.views import View
from wan22.errors import ModelCorrupt, ModelMissing, NotFound
from wan22.models.loras.files import LoraFile
from wan22.models.loras.fit import Transformer, family, misfits, transformer_of
from wan22.models.loras.folders import Lora
from wan22.tasks import ModelType

_CHECK = "check that it is a folder that the server's account may read."


class LoraFileView(View):
    """One file of a LoRA."""

    expert: str | None = Field(
        description="high or low: the half of a pair for that expert; null: for any transformer."
    )
    file_name: str = Field(description="Its name on disk, without the folder.")
    size_bytes: int = Field(description="Of the file.")
    format: str | None = Field(description="Whose names its tensors have; null if in none that is known.")
    rank: int = Field(description="The largest of its layers.")
    layers: int = Field(description="Layers of a transformer that it changes.")


class LoraView(View):
    """What a request can name in `loras`: a pair for the two experts, half of one, or a single file."""

    name: str = Field(description="For `loras[].name`.")
    fits: tuple[ModelType, ...] = Field(description="Models whose weights in use it can be put on.")
    misfits: dict[str, str] = Field(
        description="Why not, for each other model that has weights; empty where `problem` says why for all."
    )
    base_model: str | None = Field(
        description="What it was made for, by the width of its layers: A14B, 5B …; null: none of the real sizes."
    )
    few_step: int | None = Field(description="Steps that it was distilled for, guessed from its name; null: ordinary.")
    files: tuple[LoraFileView, ...] = Field(description="One or two.")
    notes: tuple[str, ...] = Field(description="What of it is left out, or lacks its other half.")
    problem: str | None = Field(description="Why it can't be used with any model, and the cure.")


class LoraList(View):
    """All LoRAs."""

    loras: tuple[LoraView, ...] = Field(description="By name.")
    folders: tuple[str, ...] = Field(description="Where they are looked for; put files there and ask again.")
    problems: tuple[str, ...] = Field(
        description="Folders that can't be read, with the cure: what is there is not in this list."
    )


def list_loras(services: Services) -> LoraList:
    """All that are on disk now; reads headers of new files."""
    known = _known(services)
    loras = tuple(_view(lora, known) for lora in services.loras.scan().values())
    return LoraList(
        loras=loras,
        folders=tuple(str(folder) for folder in services.loras.folders),
        problems=tuple(_unread(folder, why) for folder, why in services.loras.unreadable().items()),
    )


def lora_at(services: Services, path: Path) -> LoraView:
    """The LoRA that has the file at `path`, which may be the half of one."""
    real = path.resolve()
    found = (lora for lora in services.loras.scan().values() if real in [file.path.resolve() for file in lora.files])
    lora = next(found, None)
    if lora is None:  # somebody took it away at once
        raise NotFound(f"{path.name} came in and is no longer there.", hint="Send it again.")
    return _view(lora, _known(services))


def _unread(folder: Path, why: str) -> str:
    name = str(folder).encode("utf-8", "replace").decode()  # a name on disk may be no text
    return f"The folder {name} can't be read ({why}), and its LoRAs are missing here; {_CHECK}"


def _known(services: Services) -> dict[str, Transformer]:
    transformers = {model_type.value: _transformer(services, model_type) for model_type in ModelType}
    return {name: transformer for name, transformer in transformers.items() if transformer}


def _transformer(services: Services, model_type: ModelType) -> Transformer | None:
    """Of the weights that would be used; None where those that the settings want are not there, or are damaged."""
    try:
        return transformer_of(services.models.get(model_type))
    except (ModelMissing, ModelCorrupt):
        return None


def _view(lora: Lora, transformers: dict[str, Transformer]) -> LoraView:
    halves = {"high": lora.high, "low": lora.low, None: lora.single}
    reasons = misfits(lora, transformers)
    return LoraView(
        name=lora.name,
        fits=tuple(ModelType(name) for name in transformers if name not in reasons),
        misfits={} if lora.problem else dict(reasons),
        base_model=family(lora),
        few_step=lora.few_step,
        files=tuple(_file(expert, file) for expert, file in halves.items() if file),
        notes=lora.notes,
        problem=lora.problem,
    )


def _file(expert: str | None, file: LoraFile) -> LoraFileView:
    return LoraFileView(
        expert=expert,
        file_name=file.path.name.encode("utf-8", "replace").decode(),  # a name on disk may be no text
        size_bytes=file.size_bytes,
        format=file.format,
        rank=file.rank,
        layers=len(file.layers),
    )
