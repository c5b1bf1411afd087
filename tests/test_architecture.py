"""The rooms' ranks hold: imports run to strictly lower ranks, and the heavy libraries stay inside functions."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import wan22

ROOT = Path(wan22.__file__).parent

RANKS = {
    "errors": 0,
    "locks": 0,
    "tasks": 1,
    "settings": 1,
    "store": 2,
    "hardware": 2,
    "media": 2,
    "models": 2,
    "client": 2,
    "pipelines": 3,
    "queue": 3,
    "orchestrator": 4,
    "monitoring": 4,
    "worker": 5,
    "api": 6,
    "dashboard": 7,
    "runtime": 8,
    "testing": 8,
    "cli": 9,
    "__main__": 10,
}

HEAVY = {"torch", "torchao", "diffusers", "transformers", "accelerate"}
"""Seconds to import: a module that names them at its top would make every command wait."""

MODULES = sorted(ROOT.rglob("*.py"))


def room_of(path: Path) -> str:
    """The first part of a module's path inside the package."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported anywhere in the tree, by its full name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports hide the room"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_at_once(node: ast.AST) -> Iterator[str]:
    """What importing the module imports: nothing inside functions or TYPE_CHECKING blocks."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            yield from imports(child)
        elif not _is_function(child) and not (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)):
            yield from imported_at_once(child)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_down_the_ranks(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":
        return
    for name in imports(ast.parse(path.read_text("utf-8"))):
        parts = name.split(".")
        if parts[0] != "wan22" or len(parts) == 1 or parts[1] in (room, "__version__"):
            continue
        assert RANKS[parts[1]] < RANKS[room], f"{room} (rank {RANKS[room]}) imports {name} (rank {RANKS[parts[1]]})"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_heavy_libraries_are_imported_inside_functions(path: Path) -> None:
    named = {name.split(".")[0] for name in imported_at_once(ast.parse(path.read_text("utf-8")))}
    assert not named & HEAVY


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_owns(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text("utf-8")))


def test_our_own_imports_stand_at_the_top() -> None:
    for path in MODULES:
        for function in (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if _is_function(node)):
            hidden = [name for name in imports(function) if name.startswith("wan22")]
            assert not hidden, f"{path.name} hides {hidden} in a function"


def _is_function(node: ast.AST) -> bool:
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))


def test_no_pickle_is_ever_read() -> None:
    """Weights are safetensors only: no torch.load and no pickle anywhere."""
    for path in MODULES:
        text = path.read_text("utf-8")
        assert "torch.load(" not in text, path
        assert "pickle" not in {name.split(".")[0] for name in imports(ast.parse(text))}, path
