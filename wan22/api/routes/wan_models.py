"""Calls about the three models: what they can do, how they are, how they have run, and which to take."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, BeforeValidator, Field

from wan22.api import examples, manual, model_examples
from wan22.api.handlers import wan_models
from wan22.api.model_views import Capabilities, ModelHealth, Overview, Performance, Recommendation
from wan22.api.query import only
from wan22.api.services import Deps
from wan22.models.comparison import Comparison
from wan22.models.recommendation import MAX_FRAMES, Priority, Wish
from wan22.tasks import ModelType

router = APIRouter(prefix="/api/v1/wan-models", tags=["wan-models"])

MODELS = [model_type.value for model_type in ModelType]


def in_path(example: ModelType) -> Any:
    """A model's name in the path, with the one that the answer's example is about."""
    extra: dict[str, Any] = {"enum": MODELS}
    return Path(description="A model, in any case.", examples=[example.value], json_schema_extra=extra)


ModelName = Annotated[str, in_path(ModelType.T2V_A14B)]
OtherName = Annotated[str, in_path(ModelType.TI2V_5B)]
NO_OTHERS = [Depends(only())]
ERRORS = manual.not_found(model_examples.NO_MODEL) | manual.wrong_parameter(examples.WRONG_PARAMETER)


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


class WishQuery(BaseModel):
    """What is to be made."""

    has_image: Annotated[bool, Field(description="There is an image to begin with.", examples=[False])] = False
    has_prompt: Annotated[bool, Field(description="There is a text.", examples=[True])] = True
    width: Annotated[
        int | None, Field(description="Pixels, with height; the model's own if left out.", examples=[1280])
    ] = None
    height: Annotated[int | None, Field(description="Pixels, with width.", examples=[720])] = None
    num_frames: Annotated[
        int | None, Field(ge=1, le=MAX_FRAMES, description="Frames; 16 if left out.", examples=[16])
    ] = None
    vram_gb: Annotated[
        float | None,
        Field(
            gt=0,
            le=1_000,
            allow_inf_nan=False,
            description="Of the GPU, in GB; this machine's if left out.",
            examples=[16],
        ),
    ] = None
    priority: Annotated[
        Priority, BeforeValidator(_lower), Field(description="What the ranking goes by.", examples=["speed"])
    ] = "quality"

    def wish(self) -> Wish:
        """The same as the room below has it."""
        vram_bytes = None if self.vram_gb is None else int(self.vram_gb * 1e9)
        return Wish(**self.model_dump(exclude={"vram_gb"}), vram_bytes=vram_bytes)


@router.get(
    "/capabilities/{model_type}",
    response_model=Capabilities,
    responses=manual.ok(model_examples.CAPABILITIES) | ERRORS,
    dependencies=NO_OTHERS,
    summary="What can a model do?",
)
async def get_capabilities(model_type: ModelName, services: Deps) -> Capabilities:
    """Each line of the report's list, as it is in this build, with what the report says and what the weights were
    trained for beside it. `available` is false where this build falls short of the report, and `why` says in what.
    """
    return await services.threads.call(wan_models.capabilities, services, model_type)


@router.get(
    "/health/{model_type}",
    response_model=ModelHealth,
    responses=manual.ok(model_examples.HEALTH) | ERRORS,
    dependencies=NO_OTHERS,
    summary="Can a model run, and has it?",
)
async def get_health(model_type: ModelName, services: Deps) -> ModelHealth:
    """Its weights, the device, how many of its newest tasks completed, and how the last failed one ended."""
    return await services.threads.call(wan_models.health, services, model_type)


@router.get(
    "/performance/{model_type}",
    response_model=Performance,
    responses=manual.ok(model_examples.PERFORMANCE) | ERRORS,
    dependencies=NO_OTHERS,
    summary="How fast is a model here?",
)
async def get_performance(model_type: ModelName, services: Deps) -> Performance:
    """Measured on this machine's own tasks, the newest 500 that ended; null where nothing was measured. Real and
    demo weights, and tasks on another device, are never summed up together. What the report expects stands beside it.
    """
    return await services.threads.call(wan_models.performance, services, model_type)


@router.get(
    "/compare/{model_a}/{model_b}",
    response_model=Comparison,
    responses=manual.ok(model_examples.COMPARISON) | ERRORS,
    dependencies=NO_OTHERS,
    summary="Compare two models",
)
async def get_comparison(model_a: ModelName, model_b: OtherName, services: Deps) -> Comparison:
    """Line by line, which of the two is better for what, and the sizes that both have rendered here."""
    return await services.threads.call(wan_models.compare_, services, model_a, model_b)


@router.get(
    "/recommend",
    response_model=Recommendation,
    responses=manual.ok(model_examples.RECOMMENDATION) | manual.wrong_parameter(model_examples.WRONG_PRIORITY),
    dependencies=[Depends(only(*WishQuery.model_fields))],
    summary="Which model to take?",
)
async def get_recommendation(query: Annotated[WishQuery, Query()], services: Deps) -> Recommendation:
    """The models that can do it, best first: those whose real weights are in use before others, then by `priority`.
    The rest is in `ruled_out` with every reason. Counted figures say so; measured ones are of tasks that ran here.
    """
    return await services.threads.call(wan_models.recommend_, services, query.wish())


@router.get(
    "/dashboard",
    response_model=Overview,
    responses=manual.ok(model_examples.OVERVIEW) | manual.wrong_parameter(examples.WRONG_PARAMETER),
    dependencies=NO_OTHERS,
    summary="The three models at a glance",
)
async def get_overview(services: Deps) -> Overview:
    """State, abilities and speed of each in short; the other calls have the whole."""
    return await services.threads.call(wan_models.overview, services)
