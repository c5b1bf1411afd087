"""What is wrong with the LoRAs of a request, on the model that it is for; and what they come to, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wan22.errors import FieldError, InvalidRequest, ModelMissing
from wan22.models.loras.files import LoraFile
from wan22.models.loras.fit import Transformer, fits
from wan22.models.loras.folders import Lora, Loras
from wan22.models.loras.names import Expert
from wan22.tasks import Choice, LoraUse

EXPERTS: dict[int, tuple[Expert | None, ...]] = {1: (None,), 2: ("high", "low")}
"""Whose LoRA goes on a model's transformers, in their order, by how many there are."""

_GONE = "Put the file back where it was, or name one of `GET /api/v1/models/loras`, then send the request again."
_BROKEN = "Mend the LoRA's file or put it there anew, then send the request again."


def errors_of(uses: Sequence[LoraUse], loras: Loras, transformer: Transformer) -> Iterator[FieldError]:
    """At most one for each LoRA, ending in its cure."""
    for n, use in enumerate(uses):
        field = f"loras.{n}"
        if use.name in [other.name for other in uses[:n]]:
            yield FieldError(field, "is there twice: name each LoRA once.", use.name)
        elif transformer.experts == 1 and (use.weight_high, use.weight_low) != (None, None):
            told = "this model has one transformer: leave weight_high and weight_low out and send weight."
            yield FieldError(field, told, use.name)
        else:
            yield from _misfit(field, use.name, loras, transformer)


def choice_of(use: LoraUse, lora: Lora, transformer: Transformer) -> Choice:
    """What the plan says of one."""
    parts = []
    for expert, weight in zip(EXPERTS[transformer.experts], use.weights(transformer.experts), strict=True):
        file = lora.for_expert(expert)
        where = f"the {expert}-noise expert" if expert else "the transformer"
        parts.append(f"rank {file.rank} on {where} at weight {weight:g}" if file else f"nothing on {where}")
    return Choice(what="lora", choice=use.name, why=" ".join(["; ".join(parts) + ".", *lora.notes]))


def files_of(use: LoraUse, loras: Loras, experts: int) -> Iterator[tuple[int, LoraFile, float]]:
    """Number of the transformer, file and weight. Raises ModelMissing if the LoRA has gone since it was asked for."""
    lora = loras.find(use.name)
    if lora is None:
        raise ModelMissing(f"There is no LoRA {use.name} any more: its file was moved, renamed or removed.", hint=_GONE)
    if lora.problem:
        raise ModelMissing(f"The LoRA {use.name} has changed: {lora.problem}", hint=_BROKEN)
    for number, (expert, weight) in enumerate(zip(EXPERTS[experts], use.weights(experts), strict=True)):
        if file := lora.for_expert(expert):
            yield number, file, weight


def _misfit(field: str, name: str, loras: Loras, transformer: Transformer) -> Iterator[FieldError]:
    try:
        lora = loras.get(name, field=field)
    except InvalidRequest as error:
        yield from error.errors
    else:
        if reason := fits(lora, transformer):
            yield FieldError(field, reason if lora.problem else f"does not fit this model. {reason}", name)
