"""`wan22 models`: which weights are on disk, and the commands that fetch and check the real ones."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from typing import Annotated

import typer
from rich.console import Console

from wan22.cli.bars import Bars
from wan22.cli.finding import size_words, time_words
from wan22.cli.flags import Config, Home, settings_from
from wan22.errors import Cancelled, InvalidRequest, ModelCorrupt
from wan22.models.catalogue import SPECS
from wan22.models.check_plan import plan_check, refuse_what_is_lent
from wan22.models.conversions import plan_conversion
from wan22.models.convert import Conversion, ConversionPlan
from wan22.models.convert.layout import Kind
from wan22.models.convert.originals import originals_of
from wan22.models.in_turn import Run
from wan22.models.specs import OFFICIAL
from wan22.models.variants import Models
from wan22.models.verification import Check
from wan22.models.weights import Weights
from wan22.models.weights_plan import WeightsPlan
from wan22.pipelines.quiet import be_quiet
from wan22.settings import Settings
from wan22.tasks import ModelType

models = typer.Typer(help="The models' weights: what is on disk, fetch, verify, convert.", no_args_is_help=True)

LOOK_S = 0.2

Named = Annotated[str, typer.Argument(metavar="MODEL", help="t2v-a14b, i2v-a14b or ti2v-5b.")]
Wanted = Annotated[str, typer.Option("--variant", help="Which weights, by a name that `wan22 models status` lists.")]
Checked = Annotated[
    str | None, typer.Option("--variant", help="Which weights; by default those in use, or the official.")
]
First = Annotated[
    str | None, typer.Option("--source", help="Ask this one first: hub, mirror-1, folder-1 … of the settings.")
]


@models.command()
def status(config: Config = None, home: Home = None) -> None:
    """Say for each model how its real weights stand, and every variant of them."""
    settings = settings_from(config, storage={"home": home})
    found = _models(settings)
    for model_type in SPECS:
        report = found.describe(model_type)
        typer.echo(f"{model_type.value}: {report.state}. {report.why}")
        for variant in found.variants(model_type):
            state = found.describe(model_type, variant.name).state
            typer.echo(f"  {variant.name}: {state}; {variant.about} ({variant.precision})")
        for lora in found.loras(model_type):
            typer.echo(f"  {lora.name}: {found.describe_lora(lora).state}; {lora.about}")


@models.command()
def download(
    model: Named,
    variant: Wanted = OFFICIAL,
    source: First = None,
    plan_only: Annotated[bool, typer.Option("--plan", help="Say what would be fetched, and fetch nothing.")] = False,
    config: Config = None,
    home: Home = None,
) -> None:
    """Fetch the real weights of a model, or what is missing of them: the official ones, another variant, or a LoRA.

    A download that was stopped goes on where it was, also after a crash. No file has its name before its hash is right.
    """
    weights = _weights(settings_from(config, storage={"home": home}))
    model_type = type_of(model)
    if wrong := weights.faults(model_type, variant, source):
        raise InvalidRequest(wrong)
    plan = weights.plan(model_type, variant)
    typer.echo(_said(plan, weights.last_speed.find()), err=True)
    if plan_only:
        for file in plan.files:
            typer.echo(f"{file.file.path}: {size_words(file.missing_bytes)} of {size_words(file.file.size)} to fetch")
        plan.refuse_what_does_not_fit()
        return
    _watch(weights.download(plan, source))
    typer.echo(plan.target)


@models.command()
def verify(
    model: Named,
    variant: Checked = None,
    quick: Annotated[bool, typer.Option("--quick", help="Look at sizes and headers alone: seconds.")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Fetch what is wrong again.")] = False,
    config: Config = None,
    home: Home = None,
) -> None:
    """Compare every file of a model's weights, wherever it is, with its hash. Leaves with 1 if one is wrong.

    The hashes are the hub's, or were kept when a conversion made the files, or came with the package.
    """
    weights, model_type = _weights(settings_from(config, storage={"home": home})), type_of(model)
    variant = variant or weights.models.in_use(model_type)
    plan = plan_check(weights, model_type, variant, quick=quick)
    if repair:
        plan.refuse_repair()
    if not plan.is_hashed:
        typer.echo(f"Nobody has hashed {variant}: only what headers tell is looked at.", err=True)
    check = Check(plan.sought, quick=quick)
    _watch(check)
    wrong = check.wrong
    for file in wrong:
        typer.echo(f"{file.path}: {file.fault}")
    if wrong and repair:
        check.remove_wrong()
        _watch(weights.download(weights.plan(model_type, variant)))
        refuse_what_is_lent(check)
    elif wrong:
        named = "" if variant == OFFICIAL else f" --variant {variant}"
        cure = plan.obstacle.hint if plan.obstacle else f"Run `wan22 models verify {model}{named} --repair`."
        what = "1 file is" if len(wrong) == 1 else f"{len(wrong)} files are"
        raise ModelCorrupt(f"{what} wrong of {model_type.value} ({variant}).", hint=cure)
    typer.echo(f"{model_type.value} is whole.", err=True)


@models.command()
def convert(
    model: Named,
    to: Annotated[Kind, typer.Option("--to", help="bf16: half of the official weights' bytes; int8, fp8: a quarter.")],
    remove: Annotated[
        bool, typer.Option("--remove-originals", help="Compare all that was made once more, then remove its source.")
    ] = False,
    config: Config = None,
    home: Home = None,
) -> None:
    """Make a smaller variant of the real weights on disk; it loads in less time and needs less memory.

    A conversion that was stopped goes on after the last whole file, also after a crash.
    """
    be_quiet()
    found = _models(settings_from(config, storage={"home": home}))
    plan = plan_conversion(found, type_of(model), to)
    originals = originals_of(plan, found.shelf.roots) if remove else None
    plan.refuse_what_does_not_fit()
    typer.echo(_to_make(plan), err=True)
    _watch(Conversion(plan, originals=originals))
    typer.echo(plan.target)


def type_of(name: str) -> ModelType:
    """The model that an argument names. Raises InvalidRequest with the three."""
    try:
        return ModelType(name)
    except ValueError as error:
        known = ", ".join(model_type.value.lower() for model_type in ModelType)
        raise InvalidRequest.of("model", f"must be one of {known}", name) from error


def _models(settings: Settings) -> Models:
    return Models(settings.models, settings.storage.home / "models")


def _weights(settings: Settings) -> Weights:
    return Weights(_models(settings), settings.download)


def _to_make(plan: ConversionPlan) -> str:
    sizes = f"{size_words(plan.missing_bytes)} to write into {plan.target}; {size_words(plan.free_bytes)} are free."
    return f"{plan.kind} of {plan.source}: {sizes}"


def _said(plan: WeightsPlan, last_speed: float | None) -> str:
    missing = [file for file in plan.files if file.missing_bytes]
    if not missing:
        return f"All {len(plan.files)} files are in {plan.target}; they are checked."
    rest = f"{size_words(plan.missing_bytes)} in {len(missing)} of {len(plan.files)} files to fetch"
    if plan.cached_bytes:
        rest += f", {size_words(plan.cached_bytes)} of them in another program's cache,"
    seconds = plan.seconds_at(last_speed)
    time = "" if seconds is None else f", {time_words(seconds)} at the last download's speed"
    return f"{rest} into {plan.target}{time}; {size_words(plan.free_bytes)} are free."


def _watch(run: Run) -> None:
    """Run it with bars on a terminal; Ctrl+C keeps what is there and leaves."""
    with ThreadPoolExecutor(1, thread_name_prefix="wan22-models") as pool:
        ended = pool.submit(run.run)
        try:
            with Bars(Console(stderr=True)) as bars:
                # no join: Ctrl+C in one makes Python up to 3.12 take a thread that runs for ended
                while not wait([ended], LOOK_S).done:
                    bars.show(run.progress())
                bars.show(run.progress())
        except KeyboardInterrupt:
            run.cancel()
    try:
        ended.result()
    except Cancelled as error:
        typer.echo(f"Stopped. {error.hint}", err=True)
        raise typer.Exit(130) from None
