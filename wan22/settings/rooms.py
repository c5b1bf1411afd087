"""The settings' classes, one for each room, with a help text for each field. Reading them is `reading`'s."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})

PrecisionChoice = Literal["auto", "fp16", "bf16", "fp32"]
AttentionChoice = Literal["auto", "native", "flash", "sage"]
LevelChoice = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


def _default_home() -> Path:
    named = os.environ.get("WAN22_HOME")
    return Path(named).expanduser() if named else platformdirs.user_data_path("wan22", appauthor=False)


class Room(BaseModel):
    """Base of the groups: frozen, and a misspelt name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _check_address(address: str) -> None:
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("an address must be as https://HOST")


class StorageSettings(Room):
    """Where things are kept."""

    home: Path = Field(
        default_factory=_default_home,
        description="Folder of the database, outputs and uploads, and of models that are in none of `models_dirs`.",
    )
    min_free_bytes: int = Field(
        default=1_000_000_000,
        ge=0,
        description="New tasks are refused when less is free on the disk of `home`.",
    )
    prompt_cache_bytes: int = Field(
        default=500_000_000,
        ge=0,
        description="Disk for embedded prompts, which spare loading the text encoder; 0 keeps none.",
    )

    picture_cache_bytes: int = Field(
        default=1_000_000_000,
        ge=0,
        description="Disk for input pictures as the VAE has encoded them, up to 25 MB each; 0 keeps none.",
    )

    @field_validator("home")
    @classmethod
    def _expanded(cls, home: Path) -> Path:
        return home.expanduser()

    @property
    def database_path(self) -> Path:
        """The SQLite file."""
        return self.home / "wan22.db"

    @property
    def outputs_dir(self) -> Path:
        """Finished files, one folder for each task."""
        return self.home / "outputs"

    @property
    def uploads_dir(self) -> Path:
        """Input pictures, by the hash of their content."""
        return self.home / "uploads"

    @property
    def prompts_dir(self) -> Path:
        """Embedded prompts, by the hash of their words."""
        return self.home / "cache" / "prompts"

    @property
    def gains_path(self) -> Path:
        """What optimizations were measured to gain on this machine."""
        return self.home / "cache" / "gains.json"

    @property
    def pictures_dir(self) -> Path:
        """Encoded pictures, by the hash of their pixels."""
        return self.home / "cache" / "pictures"

    @property
    def compiled_dir(self) -> Path:
        """What torch has compiled."""
        return self.home / "cache" / "compiled"

    @property
    def loras_dir(self) -> Path:
        """LoRA files, beside those in `models.loras_dirs`."""
        return self.home / "loras"


class ServerSettings(Room):
    """How the HTTP server listens and whom it trusts."""

    host: str = Field(default="127.0.0.1", description="Address to listen on; anything but loopback needs `api_key`.")
    port: int = Field(default=8000, ge=0, le=65535, description="TCP port; 0 picks a free one.")
    api_key: SecretStr | None = Field(
        default=None,
        description="If set, every request must carry it; a must on any address but loopback.",
    )
    allowed_hosts: tuple[str, ...] = Field(
        default=(),
        description="Names, beside the loopback ones, under which the server may be reached, as studio.example; with "
        "`host` 0.0.0.0 or :: the addresses of this machine need not be named.",
    )
    allowed_origins: tuple[str, ...] = Field(
        default=(), description="Exact origins of other web pages that may call the API, as https://studio.example."
    )
    max_body_bytes: int = Field(default=1_000_000, ge=1_000, description="Largest request body without an image.")
    max_image_body_bytes: int = Field(default=64_000_000, ge=1_000, description="Largest request body with an image.")
    max_connections: int = Field(
        default=500,
        ge=2,
        description="Connections at a time, event streams among them; with this many open, requests get a 503.",
    )
    shutdown_grace_s: float = Field(
        default=10.0, ge=0, description="How long a stop waits for the running task before it goes back to the queue."
    )


class QueueSettings(Room):
    """How many tasks wait, in which order they run, and when a run counts as lost."""

    max_queued: int = Field(default=1_000, ge=1, description="Tasks that may wait; one more is answered with 429.")
    max_attempts: int = Field(
        default=2,
        ge=1,
        description="A task that was running when the server died this often fails, not runs again.",
    )
    max_passed: int = Field(
        default=16,
        ge=0,
        le=1_000,
        description="Later tasks of its priority that may go before one, since their model is loaded or they share a "
        "run; 0: strictly in order.",
    )


class ModelsSettings(Room):
    """Where weights are and which are used."""

    models_dirs: tuple[Path, ...] = Field(
        default=(),
        description="Folders searched for <slug>/<variant>/ before `home`/models, the first whole one wins.",
    )
    loras_dirs: tuple[Path, ...] = Field(
        default=(), description="Folders searched for LoRA files beside `home`/loras, with the folders in them."
    )
    variant: str = Field(
        default="auto",
        description="auto uses the best real weights of a model that are whole on disk, else demo; a name, such as "
        "dev, bf16 or gguf-q8_0, allows these alone.",
    )
    use_hf_cache: bool = Field(
        default=True, description="Use weights where they are in Hugging Face's cache; copy them where not all are."
    )
    comfyui_dirs: tuple[Path, ...] = Field(
        default=(),
        description="The `models` folders of ComfyUI, whose transformers and LoRAs of Wan are used where they are.",
    )
    max_lora_bytes: int = Field(
        default=4_000_000_000, ge=1_000, description="Largest LoRA file that may be sent to the server."
    )

    @field_validator("models_dirs", "loras_dirs", "comfyui_dirs")
    @classmethod
    def _expanded(cls, folders: tuple[Path, ...]) -> tuple[Path, ...]:
        return tuple(folder.expanduser() for folder in folders)

    ram_fraction: float = Field(
        default=0.8, gt=0, le=1, description="Share of the machine's RAM that loaded models may hold together."
    )


class DownloadSettings(Room):
    """Where weights are fetched from, and how fast."""

    hub: str = Field(default="https://huggingface.co", description="The hub, whose hashes every byte is checked with.")
    token: SecretStr | None = Field(default=None, description="Your token of the hub; it is sent to the hub alone.")
    mirrors: tuple[str, ...] = Field(
        default=(), description="Servers with the hub's routes, asked in this order where the hub does not give a file."
    )
    folders: tuple[str, ...] = Field(
        default=(),
        description="Folders with files of repositories in <folder>/<owner>/<name>/, asked last: paths, or addresses "
        "that begin with http.",
    )
    parallel: int = Field(default=4, ge=1, le=16, description="Files at a time.")
    max_bytes_per_s: int | None = Field(default=None, ge=1_000, description="Of all files together; no limit if unset.")
    stall_s: float = Field(default=30.0, gt=0, description="Seconds without a byte, after which another is asked.")

    @field_validator("hub", "mirrors")
    @classmethod
    def _addressed(cls, said: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for address in (said,) if isinstance(said, str) else said:
            _check_address(address)
        return said


class DeviceSettings(Room):
    """What computes, and how precisely."""

    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:N or mps.")
    precision: PrecisionChoice = Field(
        default="auto", description="Of the transformers where a request does not say; auto asks the device."
    )
    vram_reserve_bytes: int = Field(
        default=1_000_000_000, ge=0, description="VRAM left to the desktop and other programs when deciding on offload."
    )
    threads: int = Field(default=0, ge=0, description="CPU threads for torch; 0 lets torch decide.")
    attention: AttentionChoice = Field(
        default="auto",
        description="Kernels of the transformers' attention: native are torch's own, flash and sage those of the "
        "packages flash-attn and sageattention; auto is native.",
    )
    compile: bool = Field(
        default=False,
        description="Compile the transformers' blocks, which takes up to minutes at the first task of a kind.",
    )
    optimizations_off: tuple[str, ...] = Field(
        default=(), description="Optimizations that are not wanted, by their ids in `wan22 optimizations`."
    )
    max_batch: int = Field(
        default=8, ge=1, le=16, description="Videos denoised together at most, where that is faster; 1: each alone."
    )


class MediaSettings(Room):
    """Limits for input pictures, and how videos are encoded."""

    max_image_pixels: int = Field(default=16_777_216, ge=4_096, description="Largest input picture: width x height.")
    encoder_threads: int = Field(default=0, ge=0, description="Threads of the video encoder; 0 lets it decide.")


class AlertsSettings(Room):
    """When a person is told that something is wrong, and where else than on the page."""

    vram_fraction: float = Field(default=0.98, gt=0, le=1, description="Share of a GPU's VRAM in use by all programs.")
    ram_fraction: float = Field(default=0.95, gt=0, le=1, description="Share of the RAM in use by all programs.")
    swap_bytes: int = Field(default=2_000_000_000, ge=1, le=2**60, description="Swap in use by all programs.")
    temperature_c: float = Field(default=87.0, gt=0, le=150, description="Of a GPU, in degrees Celsius.")
    throttled_fraction: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="Share of a minute in which heat or its hardware slowed a GPU down; its power limit is normal.",
    )
    disk_free_bytes: int = Field(
        default=5_000_000_000, ge=0, le=2**60, description="Free on the disk of `home`, at least."
    )
    queue_stuck_s: float = Field(
        default=60.0, gt=0, le=86_400, description="Seconds in which tasks wait and none runs."
    )
    failure_fraction: float = Field(default=0.5, gt=0, le=1, description="Failed of the last ten tasks of a day.")
    step_time_ratio: float = Field(
        default=3.0, gt=1, le=1_000, description="Seconds a step, by the usual ones of the same size on this machine."
    )
    webhook_url: SecretStr | None = Field(
        default=None, description="Each alert is also sent there, by POST as JSON, when it is raised and when cleared."
    )

    @field_validator("webhook_url")
    @classmethod
    def _addressed(cls, said: SecretStr | None) -> SecretStr | None:
        if said is not None:
            _check_address(said.get_secret_value())
        return said


class LogSettings(Room):
    """What the server writes about itself."""

    level: LevelChoice = Field(default="INFO", description="Prompts are logged at DEBUG only.")
