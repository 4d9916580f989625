"""Nearest spellings and safe quoting."""

from __future__ import annotations

import pytest

from ft_notebook.recipe.fields import sections
from ft_notebook.recipe.names import FOREIGN_NAMES, did_you_mean, nearest, quoted


@pytest.mark.parametrize(("word", "choice"), [
    ("learing_rate", "learning_rate"), ("learning-rate", "learning_rate"), ("LearningRate", "learning_rate"),
    ("Learning Rate", "learning_rate"), ("sed", "seed"), ("quux", None), ("", None), ("s" * 10_000, None),
])
def test_nearest(word: str, choice: str | None) -> None:
    assert nearest(word, ["seed", "learning_rate", "epochs"]) == choice


def test_no_hint_when_nothing_is_near() -> None:
    assert did_you_mean("quux", ["seed"]) == ""
    assert did_you_mean("sead", ["seed"]) == " Did you mean `seed`?"


def test_quoting_shows_what_cannot_be_seen_and_shortens() -> None:
    assert quoted("a\tb\x1b[31m\u202e\n") == r"`a\tb\x1b[31m\u202e\n`"
    assert quoted("x" * 100, 10) == "`xxxxxxxxx…`"


def test_every_foreign_name_leads_to_a_key_of_ours() -> None:
    ours = set(sections()) | {field for section in sections().values() for field in section.fields}
    assert set(FOREIGN_NAMES.values()) <= ours
