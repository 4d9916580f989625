"""Every code block in README and docs is true: Python runs, recipes parse, make targets and commands exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from ft_notebook.cli import _parser
from ft_notebook.recipe.parse import parse_recipe

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)


def blocks(language: str) -> list[pytest.param]:
    return [
        pytest.param(page, text, id=f"{page.name}-{number}")
        for page in PAGES
        for number, (kind, text) in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")))
        if kind == language
    ]


@pytest.mark.parametrize("page", [page for page in PAGES if "```python" in page.read_text()], ids=lambda p: p.name)
def test_python_blocks_run_in_order(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "__docs__"}
    for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        if kind == "python":
            exec(compile(text, str(page), "exec"), namespace)


@pytest.mark.parametrize(("page", "text"), blocks("yaml"))
def test_recipes_parse(page: Path, text: str) -> None:
    parse_recipe(text)


@pytest.mark.parametrize(("page", "text"), blocks("bash"))
def test_make_targets_exist(page: Path, text: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        if words and words[0] == "make":
            assert set(words[1:]) <= targets, line


@pytest.mark.parametrize(("page", "text"), blocks("text"))
def test_cells_and_commands_are_understood(page: Path, text: str) -> None:
    cell = re.search(r"^%%finetune .*\n((?:.+\n)+)", text, re.M)
    if cell:
        parse_recipe(cell[1])
    for line in text.splitlines():
        if line.startswith("python -m ft_notebook"):
            _parser().parse_args(shlex.split(line, comments=True)[3:])


def test_the_page_of_all_keys_is_what_the_schema_says() -> None:
    from ft_notebook.recipe.document import recipe_markdown

    assert (ROOT / "docs" / "recipe.md").read_text(encoding="utf-8") == recipe_markdown(), (
        "docs/recipe.md is old: write ft_notebook.recipe.document.recipe_markdown() to it"
    )


@pytest.mark.parametrize("page", [*PAGES, ROOT / "DESIGN.md"], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
