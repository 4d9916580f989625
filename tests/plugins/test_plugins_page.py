"""The guide in docs/plugins.md is true: its blocks run, and its table names all hooks."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from ft_notebook.plugins import HOOKS
from ft_notebook.recipe.parse import parse_recipe

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "plugins.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_python_blocks_run_in_order() -> None:
    scope: dict[str, Any] = {"__name__": "page"}
    for block in blocks("python"):
        exec(compile(block, "docs/plugins.md", "exec"), scope)
    assert scope["found"].metrics()["same_case"].name == "same_case"


def test_recipe_and_entry_point_blocks_are_valid() -> None:
    assert [parse_recipe(block).evaluate.metrics for block in blocks("yaml")] == [["exact_match", "same_case"]]
    entry = tomllib.loads(blocks("toml")[0])
    assert entry["project"]["entry-points"]["ft_notebook"] == {"shouting": "shouting"}


def test_every_hook_is_in_the_table() -> None:
    for hook, protocol in HOOKS.values():
        assert re.search(rf"\| `{hook}` \|.*\| `{protocol.__name__}` \|", PAGE)
