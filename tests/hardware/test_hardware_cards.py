"""The published figures of GPUs, found by the names that drivers use."""

from __future__ import annotations

import pytest

from wan22.hardware.cards import Card, card_named, shipped


@pytest.mark.parametrize(
    ("gpu", "name"),
    [
        ("NVIDIA GeForce RTX 4080", "RTX 4080"),
        ("NVIDIA GeForce RTX 4080 SUPER", "RTX 4080 SUPER"),
        ("NVIDIA GeForce RTX 4070 Ti SUPER", "RTX 4070 Ti SUPER"),
        ("NVIDIA GeForce RTX 4070 Ti", "RTX 4070 Ti"),
        ("NVIDIA GeForce RTX 4060 Ti", "RTX 4060 Ti"),
        ("NVIDIA GeForce RTX 4090 D", "RTX 4090 D"),
        ("NVIDIA A100-SXM4-80GB", "A100"),
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA H100 PCIe", "H100 PCIe"),
        ("NVIDIA H200", "H200"),
    ],
)
def test_a_card_is_known_by_the_whole_of_its_name(gpu: str, name: str) -> None:
    card = card_named(gpu)
    assert card is not None
    assert card.name == name


@pytest.mark.parametrize(
    "gpu", ["NVIDIA GeForce RTX 4080 Laptop GPU", "NVIDIA GeForce GTX 1080", "Quadro RTX 40800", "", "Tesla T4"]
)
def test_of_another_one_nothing_is_made_up(gpu: str) -> None:
    assert card_named(gpu) is None


def test_the_table_has_each_card_once_from_the_3060_to_the_h200() -> None:
    names = [card.name for card in shipped()]
    assert len(names) == len(set(names))
    assert {"RTX 3060", "RTX 3090", "RTX 4080", "RTX 5090", "A100", "H100", "H200"} <= set(names)


def test_a_laptop_s_card_is_left_out_whatever_the_table_holds() -> None:
    table = [Card(name="RTX 4080 Laptop GPU", tflops=1, memory_gb_s=1, bus_gb_s=1)]
    assert card_named("NVIDIA GeForce RTX 4080 Laptop GPU", table) is None
