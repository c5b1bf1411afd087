"""The three demo models, loaded once for all tests of this room."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pipelines_kit import load_from

from wan22.models.catalogue import SPECS
from wan22.models.demo_weights import SHIPPED
from wan22.pipelines.loader import LoadedModel
from wan22.tasks import ModelType


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """For networks this small a second thread costs more than it gives, above all beside other test processes."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def demos() -> Callable[[ModelType], Path]:
    """Where the shipped demo model of a type is. A test that damages one does it to a copy."""
    return lambda model_type: SHIPPED / SPECS[model_type].slug


@pytest.fixture(scope="session")
def models(demos: Callable[[ModelType], Path]) -> Callable[[ModelType], LoadedModel]:
    """The loaded model of a type, on the CPU in fp32."""
    loaded = {model_type: load_from(demos(model_type), model_type) for model_type in ModelType}
    return loaded.__getitem__
