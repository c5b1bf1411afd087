"""Old and new Pythons are told in one sentence what to do."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from interpreter import why_unfit

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.mark.parametrize("minor", [10, 11, 12, 13])
def test_supported_pythons_fit(minor: int) -> None:
    assert why_unfit((3, minor, 0)) is None


@pytest.mark.parametrize("version", [(2, 7), (3, 6), (3, 9), (3, 14), (4, 0)])
def test_any_other_python_gets_one_sentence_with_both_versions(version: tuple[int, int]) -> None:
    sentence = why_unfit(version, which=lambda name: None)
    assert sentence
    assert "3.10 to 3.13" in sentence
    assert f"{version[0]}.{version[1]}" in sentence
    assert sentence.count(". ") == 0


def test_a_fitting_python_that_is_installed_is_named() -> None:
    sentence = why_unfit((3, 8), which=lambda name: "/usr/bin/" + name if name == "python3.11" else None)
    assert sentence
    assert "python3.11" in sentence


@pytest.mark.parametrize("name", ["interpreter.py", "quickstart.py", "test.py"])
def test_python_3_6_can_read_what_it_must(name: str) -> None:
    tree = ast.parse((SCRIPTS / name).read_text("utf-8"), feature_version=(3, 6))
    futures = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    assert not futures, "3.6 does not know `annotations`"
