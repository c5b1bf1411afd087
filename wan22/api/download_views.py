"""What callers are shown of the models' files: how they stand, what a download would fetch, how one goes on."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from wan22.api.problems import Problem
from wan22.api.views import LastError, UtcTime, View
from wan22.models.run_status import Kind
from wan22.models.run_status import State as RunState
from wan22.models.verification import Fault
from wan22.tasks import ModelType

State = Literal["missing", "partial", "downloading", "ready", "corrupt", "loaded"]


class WrongFileView(View):
    """A file that is not what the hub says."""

    path: str = Field(description="Inside the model's folder.")
    fault: Fault = Field(description="What is wrong with it.")


class FileRun(View):
    """One file of a run."""

    path: str = Field(description="Inside the model's folder.")
    size_bytes: int = Field(description="Of the whole file.")
    done_bytes: int = Field(description="On disk, or read by a verification; may go down when some turn out wrong.")
    state: str = Field(description="waiting, checking, fetching, done or failed.")
    source: str | None = Field(description="It comes from, now or last; null before the first byte.")
    retries: int = Field(description="Answers that did not give what they should.")


class RunView(View):
    """A download or a verification of one model, as it goes on or as it ended."""

    model_type: ModelType = Field(description="Which.")
    variant: str = Field(description="Which of its weights.")
    kind: Kind = Field(description="download or verify; a repair is a download from its first fetched byte on.")
    state: RunState = Field(description="running, then done, failed or cancelled.")
    cancel_requested: bool = Field(description="True from a cancel call until it has stopped.")
    repository: str | None = Field(description="On the hub; the first of two. Null: no download fetches it.")
    target: str = Field(description="The folder of its files; the first, where there are several.")
    progress: float = Field(description="Of all bytes, 0 to 1.")
    done_bytes: int = Field(description="Of all files.")
    size_bytes: int = Field(description="Of all files.")
    fetched_bytes: int = Field(description="That came in this run, or were read by a verification.")
    bytes_per_s: float = Field(description="Over the last seconds; once it ended, as it was then.")
    eta_s: float | None = Field(description="Seconds to the end at that speed; null while nothing comes.")
    retries: int = Field(description="Of all files.")
    sources: tuple[str, ...] = Field(description="In use now.")
    files_done: int = Field(description="Files that are there and right.")
    files: tuple[FileRun, ...] = Field(description="Every file.")
    wrong: tuple[WrongFileView, ...] = Field(description="What a verification found once it read all, mended or not.")
    started_at: UtcTime = Field(description="When it began.")
    ended_at: UtcTime | None = Field(description="When it came to its end; null before.")
    error: Problem | None = Field(description="Why it failed, as a problem.")


class Runs(View):
    """The runs of all models."""

    runs: tuple[RunView, ...] = Field(description="The last of each model that had one since the server started.")


class PlannedFileView(View):
    """One file of a plan."""

    path: str = Field(description="Inside its folder.")
    repository: str = Field(description="That it comes from: a single file has its other parts from the official one.")
    folder: str = Field(description="That it comes into.")
    size_bytes: int = Field(description="Of the whole file.")
    missing_bytes: int = Field(description="Still to fetch, if what is there turns out right.")
    checked: bool = Field(description="It was hashed, is right, and was not touched since.")


class DownloadPlanView(View):
    """What a download would fetch, and whether it fits."""

    model_type: ModelType = Field(description="Which.")
    variant: str = Field(description="Which of its weights.")
    repository: str = Field(description="On the hub; the first, where there are two.")
    revision: str = Field(description="Commit that its files are of.")
    licence: str | None = Field(description="Of the weights; null: nobody said.")
    target: str = Field(description="The folder that its files come into.")
    size_bytes: int = Field(description="Of all files that loading reads.")
    missing_bytes: int = Field(description="Still to fetch.")
    cached_bytes: int = Field(description="Of these, in another program's cache, from where they are copied.")
    free_bytes: int = Field(description="On that folder's disk.")
    fits: bool = Field(description="Whether they fit and leave some space; if not, a download is refused.")
    bytes_per_s: float | None = Field(description="The last download's speed; null before the first.")
    eta_s: float | None = Field(description="Seconds that it would take at that speed; null if that is not known.")
    files: tuple[PlannedFileView, ...] = Field(description="Every file.")


class ResidentView(View):
    """A model in memory."""

    model_type: ModelType = Field(description="Which.")
    variant: str = Field(description="Which of its weights, as `plan.variant` of a task.")
    device: str = Field(description="What computes: cpu, cuda:0 or mps.")
    precision: dict[str, str] = Field(description="dtype of transformer, text_encoder and vae.")
    offload: str = Field(description="Whether its weights wait in RAM, as `plan.offload` of a task.")
    size_bytes: int = Field(description="Of all its weights, wherever they wait.")
    leases: int = Field(description="Runs that use it now; 0: it may be dropped for another model.")
    idle_s: float | None = Field(description="Seconds since it was last used; null while it is.")
    used_at: UtcTime = Field(description="When it was last used, or loaded; now, while it is.")


class VariantView(View):
    """One set of weights that is known of a model, or a LoRA for it that can be fetched."""

    name: str = Field(description="For `variant` of a download, and of weights for the setting models.variant.")
    about: str = Field(description="What it is.")
    precision: str = Field(description="Of the transformers on disk.")
    state: State = Field(description="As the model's, of this one alone; never loaded.")
    why: str = Field(description="Where it is, whose place that is if not this server's, or what is missing or wrong.")
    path: str | None = Field(description="Where it is; null where it is not.")
    repository: str | None = Field(description="That a download fetches; null: made by a conversion, or shipped.")
    licence: str | None = Field(description="Of the weights; null: nobody said.")


class ModelStatus(View):
    """How the real weights of a model stand, and what runs in their place if they are not there."""

    model_type: ModelType = Field(description="Which.")
    state: State = Field(
        description="Of the real weights. corrupt: a verification found wrong files, which were not touched since; "
        "loaded: they are in memory."
    )
    why: str = Field(description="The same in a sentence.")
    variant: str | None = Field(description="In use, as `plan.variant` of a task; null: what is wanted is not there.")
    variants: tuple[VariantView, ...] = Field(description="All that are known, the ones that are preferred first.")
    loras: tuple[VariantView, ...] = Field(description="LoRAs for it that a download can fetch, by name of variant.")
    path: str = Field(description="Folder of the real weights, or where a download would put them.")
    missing: tuple[str, ...] = Field(description="Files that a partial folder lacks.")
    wrong: tuple[WrongFileView, ...] = Field(description="Files that a verification found wrong.")
    weights_bytes: int = Field(description="Of the weight files that are there.")
    on_disk_bytes: int = Field(description="Of all that is in the folder, half-fetched files too.")
    repository: str | None = Field(description="On the hub; null for weights that were made by a conversion.")
    revision: str | None = Field(description="Commit that the folder was begun with; null if nobody wrote it down.")
    licence: str | None = Field(description="Of the weights; null: nobody said.")
    precision: dict[str, str] | None = Field(description="Where it is loaded: dtype of each part.")
    device: str | None = Field(description="Where it is loaded.")
    verified_at: UtcTime | None = Field(description="When files were last hashed, by a download or by verify.")
    run: RunView | None = Field(description="The last download or verification since the server started.")


class ModelStatuses(View):
    """All three."""

    models: tuple[ModelStatus, ...] = Field(description="T2V-A14B, I2V-A14B, TI2V-5B.")


class VerifyAnswer(View):
    """What the quick check found, or the run that was begun."""

    model_type: ModelType = Field(description="Which.")
    quick: bool = Field(description="Sizes and headers alone.")
    repair: bool = Field(description="What is wrong is fetched again.")
    hashed: bool = Field(description="False: nobody knows the hashes of some files, so that their headers must do.")
    wrong: tuple[WrongFileView, ...] = Field(description="Found so far; complete where there is no `run`.")
    run: RunView | None = Field(description="Goes on by itself; look at the model's status. Null: it is done.")


class Loaded(View):
    """A model that is in memory, as its next task will find it."""

    model_type: ModelType = Field(description="Which.")
    was_loaded: bool = Field(description="True if it was before, so that nothing had to be done.")
    loaded: ResidentView = Field(description="With which weights, where, and how large.")


class Unloaded(View):
    """What was taken out of memory."""

    model_type: ModelType = Field(description="Which.")
    unloaded: tuple[ResidentView, ...] = Field(description="Empty if it was not loaded.")


class GpuMemory(View):
    """Memory of one GPU."""

    name: str = Field(description="Of the GPU.")
    vram_total_bytes: int = Field(description="In all.")
    vram_used_bytes: int = Field(description="By everything on this machine.")


class ModelFolder(View):
    """Where models are."""

    path: str = Field(description="Of the folder.")
    free_bytes: int | None = Field(description="On its disk; null where its drive is not there.")


class RunError(View):
    """How the newest failed run ended."""

    model_type: ModelType = Field(description="Of which model.")
    kind: Kind = Field(description="What failed.")
    at: UtcTime | None = Field(description="When.")
    error: Problem = Field(description="Why, as a problem.")


class LoadError(View):
    """How the newest load that failed ended."""

    model_type: ModelType = Field(description="Of which model.")
    at: UtcTime = Field(description="When.")
    error: Problem = Field(description="Why, as a problem.")


class ModelsHealth(View):
    """What the models hold and what is left for them."""

    residents: tuple[ResidentView, ...] = Field(description="Models in memory.")
    resident_bytes: int = Field(description="Of all their weights.")
    process_ram_bytes: int = Field(description="RAM that the server holds.")
    ram_available_bytes: int = Field(description="RAM that programs may still take.")
    ram_total_bytes: int = Field(description="RAM of the machine.")
    gpus: tuple[GpuMemory, ...] = Field(description="Empty without an NVIDIA GPU.")
    folders: tuple[ModelFolder, ...] = Field(description="Each folder that a model is in, or would be.")
    running: tuple[ModelType, ...] = Field(description="Models that are downloaded or verified now.")
    last_error: RunError | None = Field(description="Of a download or a verification, since the server started.")
    last_load_error: LoadError | None = Field(
        description="Of a load ahead of a task, since the server started; null: none, or that model was loaded since."
    )
    last_task_error: LastError | None = Field(description="Of the newest task that failed; null: none.")
