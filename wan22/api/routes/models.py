"""Calls about the models' files."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from wan22.api import examples, manual
from wan22.api.handlers.models import LoraList, list_loras
from wan22.api.query import only
from wan22.api.services import Deps

router = APIRouter(prefix="/api/v1/models", tags=["models"])


@router.get(
    "/loras",
    response_model=LoraList,
    responses=manual.ok(examples.LORAS) | manual.wrong_parameter(examples.WRONG_PARAMETER),
    dependencies=[Depends(only())],
    summary="List LoRAs",
)
async def get_loras(services: Deps) -> LoraList:
    """Every LoRA in the folders, with the models that it fits; the two files of a pair are one. Put a file there and it
    is in the next answer: nothing has to be started again. A request names them in `loras`.
    """
    return await services.threads.call(list_loras, services)
