"""The page's files: no other host, nothing inline, no text as markup, and every name the page uses is there."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from wan22.dashboard.pages import FILES, STATIC, static_files
from wan22.tasks import Draft

SCRIPTS = sorted(STATIC.glob("*.js"))
TEXTS = sorted(path for path in STATIC.iterdir() if path.suffix != ".svg")
MARKUP_FROM_TEXT = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function")


class Page(HTMLParser):
    """Collects what the tests ask about."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed((STATIC / "index.html").read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag in tags]


@pytest.fixture(scope="module")
def page() -> Page:
    return Page()


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_no_other_host_is_named(path: Path) -> None:
    assert not re.findall(r"(?:https?:|wss?:)?//[\w-]+\.\w+", path.read_text("utf-8"))


def test_the_icon_names_only_its_own_language() -> None:
    assert re.findall(r"https?://[^\"]+", (STATIC / "icon.svg").read_text("utf-8")) == ["http://www.w3.org/2000/svg"]


def test_no_script_or_style_is_inline(page: Page) -> None:
    assert all("src" in attributes for attributes in page.all("script"))
    assert not page.all("style")
    for _, attributes in page.tags:
        assert not [name for name in attributes if name == "style" or name.startswith("on")]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_text_never_becomes_markup(path: Path) -> None:
    assert not MARKUP_FROM_TEXT.search(path.read_text("utf-8"))


def test_every_file_that_the_page_names_is_there(page: Page) -> None:
    names = [attributes.get("src") or attributes.get("href") or "" for attributes in page.all("script", "link", "img")]
    files = static_files()
    assert {name.removeprefix(f"{FILES}/") for name in names if name} <= set(files)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_every_import_is_there(path: Path) -> None:
    imported = re.findall(r'from "\./([\w.]+)"', path.read_text("utf-8"))
    assert set(imported) <= set(static_files())


def test_every_field_is_one_that_the_api_knows(page: Page) -> None:
    names = {attributes["name"] for attributes in page.all("input", "select", "textarea") if "name" in attributes}
    assert names <= set(Draft.model_fields)


def test_every_field_has_a_label(page: Page) -> None:
    labelled = {attributes["for"] for attributes in page.all("label")}
    assert {attributes["id"] for attributes in page.all("input", "select", "textarea")} == labelled


def test_ids_are_there_once_and_scripts_use_no_other(page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    used = {name for path in SCRIPTS for name in re.findall(r'byId\("([\w-]+)"\)', path.read_text("utf-8"))}
    assert len(ids) == len(set(ids))
    assert used <= set(ids)
