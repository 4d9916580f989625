"""The documentation names every field with its default and range, and its example is a recipe."""

from __future__ import annotations

import re

from ft_notebook.recipe.document import describe_recipe, recipe_markdown
from ft_notebook.recipe.fields import sections
from ft_notebook.recipe.parse import parse_recipe


def test_text_documents_every_field() -> None:
    text = describe_recipe()
    for section in sections().values():
        assert f"\n{section.name}: {section.description}" in text
        for field in section.fields.values():
            assert re.search(rf"^  {field.name}  \(default ", text, re.MULTILINE)
    assert "  learning_rate  (default 0.0002)\n      Peak learning rate. Allowed: a number above 0 and at most 1.\n" in text
    assert "  source  (default none, required)" in text


def test_markdown_has_a_row_for_every_field() -> None:
    page = recipe_markdown()
    for section in sections().values():
        assert f"## `{section.name}`" in page
        for field in section.fields.values():
            assert f"| `{field.name}` |" in page
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 5 for row in rows)


def test_the_example_in_the_documentation_is_a_recipe() -> None:
    example = re.search(r"```yaml\n(.*?)```", recipe_markdown(), re.DOTALL)
    assert example is not None
    assert parse_recipe(example[1]).train.epochs == 3


def test_ranges_are_said_in_words() -> None:
    allowed = {(section.name, field.name): field.allowed
               for section in sections().values() for field in section.fields.values()}
    assert allowed["method", "dropout"] == "a number of at least 0 and below 1"
    assert allowed["train", "max_steps"] == "a whole number of at least 1 or null"
    assert allowed["data", "heldout"] == "a number from 0 to 1 or text"
    assert allowed["train", "schedule"] == "linear, cosine or constant"
    assert allowed["method", "targets"] == "all-linear or a list of names"
    assert allowed["train", "length_aware"] == "true or false"
