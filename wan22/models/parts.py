"""Where each component of one set of weights is: a folder in diffusers layout, or a file that is a whole transformer.

A folder holds them all, or a single file takes the others from elsewhere; `shelf` decides. Loads nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from wan22.models import files, looks, single_files
from wan22.models.verification import WrongFile, wrong_in


@dataclass(frozen=True)
class Parts:
    """The components' places."""

    folder: Path  # of all that is not `elsewhere`
    elsewhere: Mapping[str, Path] = field(default_factory=lambda: MappingProxyType({}))  # a folder, or a single file
    config: Mapping[str, Any] | None = None  # config.json of the transformers, where these are single files

    def place(self, component: str) -> Path:
        """The component's folder, or its single file; also of model_index.json."""
        return self.elsewhere.get(component, self.folder / component)

    @property
    def index(self) -> Path:
        """The file that names the components' classes."""
        return self.place(files.MODEL_INDEX)

    @property
    def folders(self) -> tuple[Path, ...]:
        """The variants' folders that they are in."""
        alone = {name for name, place in self.elsewhere.items() if name != files.MODEL_INDEX and looks.is_file(place)}
        others = (place.parents[name in alone] for name, place in self.elsewhere.items())
        return tuple(dict.fromkeys([self.folder, *others]))

    @property
    def wrong(self) -> tuple[WrongFile, ...]:
        """Files that a verification found wrong and that were not touched since."""
        return tuple(file for folder in self.folders for file in wrong_in(folder))

    def stamp(self, components: Iterable[str]) -> str:
        """Another one for every change of their files, by sizes and times."""
        places = [self.index, *(path for name in components for path in self._files(name))]
        told = [(str(path), files.size(path), files.changed_ns(path)) for path in places]
        return hashlib.sha256(repr(told).encode()).hexdigest()[:16]

    def missing(self, required: tuple[str, ...]) -> tuple[str, ...]:
        """What is lacking, as paths with a word on each; empty if all is there."""
        if not any(looks.is_file(place) for name, place in self.elsewhere.items() if name != files.MODEL_INDEX):
            return files.missing_files(self.folder, required)
        return tuple(fault for name in required for fault in self._lacking(name))

    def weights_bytes(self, components: Iterable[str]) -> int:
        """Bytes of their weights on disk."""
        return sum(files.size(path) for name in components for path in self._weights(name))

    def loaded_bytes(self, components: Iterable[str], width: Mapping[str, float]) -> int:
        """Bytes of their weights in memory, where a number of each component is so wide; GGUF stays as it is."""
        return round(sum(self._loaded(name, width.get(name.removesuffix("_2"), 0)) for name in components))

    def size_bytes(self, component: str) -> int:
        """Bytes of all files of a component."""
        place = self.place(component)
        return files.size(place) if looks.is_file(place) else sum(files.size(path) for path in place.iterdir())

    def _lacking(self, name: str) -> tuple[str, ...]:
        place = self.place(name)
        if not looks.is_file(place):
            return files.lacking(place, name)
        fault = single_files.fault_of(place, self.config or {})
        return (f"{name}/{place.name} ({fault})",) if fault else ()

    def _files(self, name: str) -> list[Path]:
        place = self.place(name)
        return [place] if looks.is_file(place) else sorted(place.glob("*"))

    def _weights(self, name: str) -> list[Path]:
        place = self.place(name)
        return [place] if looks.is_file(place) else sorted(place.glob("*.safetensors"))

    def _loaded(self, name: str, width: float) -> float:
        return sum(
            files.size(path) if single_files.is_gguf(path) else files.parameters_in(path) * width
            for path in self._weights(name)
        )
