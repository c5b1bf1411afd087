"""Reads TOML files of the catalogue's form into values, and says what is wrong with one: the file, the key, the cure.

What the shipped file says is in `catalogue`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from wan22.errors import ConfigurationError
from wan22.models import looks
from wan22.models.download.names import fault_of
from wan22.models.specs import DEMO, MAX_AREA, OFFICIAL, Defaults, Layout, ModelSpec, SingleFile, VariantSpec
from wan22.tasks import ModelType
from wan22.tasks.request import Real, Whole

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

KINDS = (".safetensors", ".gguf")
"""What single files may be: nothing that can run code when it is read."""

_NAME = r"[a-z0-9](?:[a-z0-9._-]{0,38}[a-z0-9])?"  # a folder's name on every system
_REPOSITORY = r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*"
_REVISION = r"\w[\w-]*(?:[./]\w[\w-]*)*"  # a step of a path where a cache has it: no ".." and no "/" before it
_PRECISION = r"fp32|bf16|fp16|fp8|int8|gguf-[a-z0-9_]+"
_FORMS = {
    "name": "it must be of small letters, digits, dots, - and _, 40 at most",
    "precision": "it must be fp32, bf16, fp16, fp8, int8 or gguf- with a kind, as gguf-q5_k_m",
    "repository": "it must be OWNER/NAME, as the hub has it",
    "revision": "it must be a branch, a tag or a commit",
    "sha256": "it must be 64 hexadecimal digits in small letters",
}
_FILES: Mapping[Layout, Callable[[tuple[str, ...]], tuple[tuple[str, ...], ...]]] = {
    "folder": lambda _: ((),),
    "files": lambda transformers: (transformers,),
    "lora": lambda transformers: (("high", "low"), ("single",)) if len(transformers) > 1 else (("single",),),
}
"""What names `files` may have, by a model's transformers."""
_KINDS_OF_VALUE = {
    "variant": "each variant is a table of its own, begun by [[variant]] with two brackets on each side",
    "models": 'it must be a list, as ["TI2V-5B"]',
    "defaults": "it must be a table, as { steps = 4 }",
    "files": "it must be a table, [variant.files], with a line for each file",
    "step_cache": "it must be a list, as [0.06, 0.06]",
}
_PLAIN = {
    "extra_forbidden": "there is no such key",
    "missing": "it must be there",
    "tuple_type": "it must be a list",
    "dict_type": "it must be a table",
    "model_type": "it must be a table",
    "too_short": "it must not be empty",
}
"""What pydantic says by the type of an error, in words for people."""

Variants = Mapping[ModelType, Mapping[str, VariantSpec]]


class Model(Protocol):
    """What a variant takes over from its model."""

    @property
    def defaults(self) -> Defaults:
        """How to sample."""

    @property
    def transformers(self) -> tuple[str, ...]:
        """Components that are one."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Defaults(_Table):
    """What differs from the model's own; within what a request may ask for."""

    steps: Whole | None = Field(default=None, ge=1, le=200)
    guidance_scale: Real | None = Field(default=None, ge=0, le=30)
    guidance_scale_2: Real | None = Field(default=None, ge=0, le=30)
    flow_shift: Real | None = Field(default=None, gt=0, le=100)
    flow_shift_small: Real | None = Field(default=None, gt=0, le=100)
    step_cache: tuple[Annotated[Real, Field(ge=0, lt=1)], ...] | None = None
    step_cache_spares: Real | None = Field(default=None, ge=0, lt=1)


class _File(_Table):
    path: str
    size: Whole | None = Field(default=None, ge=1)
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")

    @field_validator("path")
    @classmethod
    def _honest(cls, path: str) -> str:
        if fault := fault_of(path):
            raise ValueError(f"it can't be used: {fault}")
        if not path.lower().endswith(KINDS):
            raise ValueError(f"it must end with {' or '.join(KINDS)}; nothing else is read")
        return path


class _Variant(_Table):
    """One [[variant]]: for each of its models the same."""

    models: Annotated[tuple[ModelType, ...], Field(min_length=1)]
    name: str = Field(pattern=rf"^(?:{_NAME})$")
    about: str = Field(min_length=1)
    layout: Layout
    precision: str = Field(pattern=rf"^(?:{_PRECISION})$")
    repository: str | None = Field(default=None, pattern=rf"^(?:{_REPOSITORY})$")
    revision: str = Field(default="main", max_length=200, pattern=rf"^(?:{_REVISION})$")
    licence: str | None = None
    native_area: Whole | None = Field(default=None, ge=64 * 64, le=MAX_AREA)
    defaults: _Defaults = _Defaults()
    files: dict[str, _File] = Field(default_factory=dict)

    @field_validator("name")
    @classmethod
    def _free(cls, name: str) -> str:
        if fault := fault_of(name):
            raise ValueError(f"{name} can't be a name: {fault}")
        if name == "auto":
            raise ValueError("auto is taken: it is what the setting models.variant has for the best")
        return name

    def spec_for(self, model_type: ModelType, model: Model) -> VariantSpec:
        """The variant of one of its models. Raises ValueError where its files are not what its layout has."""
        options = _FILES[self.layout](model.transformers)
        if tuple(sorted(self.files)) not in options:
            names = " or ".join(" and ".join(option) or "nothing" for option in options)
            raise ValueError(f"files must have {names} where the layout is {self.layout}")
        if self.layout == "lora" and any(file.path.lower().endswith(".gguf") for file in self.files.values()):
            raise ValueError("the files of a LoRA must end with .safetensors")
        _refuse_twins(self.files)
        said = {name: value for name, value in self.defaults.model_dump().items() if value is not None}
        if len(model.transformers) == 1 and "guidance_scale_2" in said:
            raise ValueError("guidance_scale_2 is for models with two experts")
        if len(said.get("step_cache", model.transformers)) != len(model.transformers):
            raise ValueError("step_cache must have one threshold for each transformer")
        same = self.model_dump(exclude={"models", "defaults", "files"})
        files = {component: SingleFile(**file.model_dump()) for component, file in sorted(self.files.items())}
        return VariantSpec(**same, model_type=model_type, defaults=replace(model.defaults, **said), files=files)


def _refuse_twins(files: Mapping[str, _File]) -> None:
    names = [PurePosixPath(file.path).name.casefold() for file in files.values()]
    if len(names) != len(set(names)):
        raise ValueError(f"its files have one name, {names[0]}, and are kept by it: they must differ")


class _Users(_Table):
    """A user's file."""

    variant: tuple[_Variant, ...] = ()


class _Shipped(_Users):
    """The package's own, with the models."""

    shared: dict[str, Any]
    model: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class _Basis:
    defaults: Defaults
    transformers: tuple[str, ...]


def read_catalogue(path: Path) -> tuple[tuple[ModelSpec, ...], Variants]:
    """The models and variants of the shipped file."""
    content = _Shipped.model_validate(_tables(path))
    tables = {ModelType(table["model_type"]): content.shared | table for table in content.model}
    bases = {
        model_type: _Basis(
            TypeAdapter(Defaults).validate_python(table["defaults"]),
            ("transformer", "transformer_2") if "boundary_ratio" in table else ("transformer",),
        )
        for model_type, table in tables.items()
    }
    variants = _by_model(path, content.variant, bases)
    return tuple(_spec(table, variants[model_type]) for model_type, table in tables.items()), variants


def read_variants(folder: Path, models: Mapping[ModelType, Model], known: Variants) -> Variants:
    """`known` and, behind them, those of all TOML files in `folder`, by name of file.

    Raises ConfigurationError that names the file, the key and the cure; also for a name that is taken.
    """
    for path in (one for one in looks.entries(folder) if one.suffix == ".toml" and looks.is_file(one)):
        found = _by_model(path, _read_users(path), models)
        for model_type, variants in found.items():
            taken = next((name for name in variants if name in known[model_type]), None)
            if taken:
                raise _wrong(path, "variant.name", f"there is a variant {taken} of {model_type.value} already")
        known = {model_type: {**known[model_type], **found.get(model_type, {})} for model_type in known}
    return known


def _spec(table: Mapping[str, Any], variants: Mapping[str, VariantSpec]) -> ModelSpec:
    dev = variants[OFFICIAL]
    joined = {"demo_defaults": variants[DEMO].defaults, "repository": dev.repository, "licence": dev.licence}
    return TypeAdapter(ModelSpec).validate_python({**table, **joined})


def _by_model(path: Path, tables: Sequence[_Variant], models: Mapping[ModelType, Model]) -> Variants:
    found: dict[ModelType, dict[str, VariantSpec]] = {}
    for number, table in enumerate(tables):
        for model_type in table.models:
            of_model = found.setdefault(model_type, {})
            if table.name in of_model:
                raise _wrong(path, f"variant[{number}].name", f"{table.name} is taken")
            try:
                of_model[table.name] = table.spec_for(model_type, models[model_type])
            except ValueError as error:
                raise _wrong(path, f"variant[{number}]", f"for {model_type.value}, {error}") from error
    return found


def _read_users(path: Path) -> tuple[_Variant, ...]:
    try:
        return _Users.model_validate(_tables(path)).variant
    except ValidationError as error:
        first = error.errors()[0]
        raise _wrong(path, _key(first["loc"]), _in_words(first["type"], first["loc"]) or first["msg"]) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} can't be read: it is not in UTF-8. Save it as UTF-8.") from error
    except RecursionError as error:
        raise ConfigurationError(
            f"{path} can't be read: it is nested too deep. Correct it, or move it away."
        ) from error
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} can't be read: {error}. Correct it, or move it away.") from error


def _tables(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text("utf-8-sig"))  # some editors under Windows begin with a mark


def _in_words(kind: str, loc: tuple[int | str, ...]) -> str | None:
    """What is wrong, by the type of pydantic's error; None where its own sentence will do."""
    key = next(part for part in reversed(loc) if isinstance(part, str))
    if kind == "string_pattern_mismatch":
        return _FORMS.get(key)
    return _KINDS_OF_VALUE.get(key, _PLAIN[kind]) if kind.endswith("_type") and kind in _PLAIN else _PLAIN.get(kind)


def _key(loc: tuple[int | str, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")


def _said(what: str) -> str:
    """A sentence of pydantic's in our words."""
    return what.removeprefix("Value error, ").replace("Input should be", "it must be")


def _wrong(path: Path, key: str, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"{path} can't be used: {key}: {_said(what)}. Correct it there, or move the file away; "
        "wan22/models/catalogue.toml shows the form."
    )
