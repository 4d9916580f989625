"""A recipe that was written as YAML or as a script is the same recipe again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from ft_notebook.recipe.export import changed_values, to_script, to_yaml
from ft_notebook.recipe.parse import parse_recipe, recipe_from_values
from ft_notebook.recipe.schema import Recipe

AWKWARD = [
    "yes", "No", "null", "~", "true", "1e-4", "0x1F", "007", "1_000", "2024-01-01", "12:30:45", ".nan", ".5", "-", "- a",
    "a: b", "a:b", "a #b", "#b", "'", '"', "\\", "\\n", "{a}", "[a", "a, b", "*a", "&a", "!a", "@a", "`a", "%a", "|", ">",
    "? a", "<<", "a ", " a", "a\n", "a\nb", "a\n\n\nb\n\n", "\na", " a\nb", "a\n b", "a \nb", "a\tb", "a\r\nb", "---\na", "a\n...\n",
    "#a\n#b", "é ß 漢字", "🙂\n🙂", "\u202ea", "a\u200bb", "\ufeffa", "a\x85b", "a\u2028b\nc", "C:\\x\\y", "sample:tickets",
    "data/*.jsonl", "../x", "./x", ".", "..", "/a/b c.jsonl", "org/name-2.5", "=", "a=b", "a" * 120,
]
texts = st.one_of(
    st.sampled_from(AWKWARD),
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), min_size=1, max_size=40),
    st.lists(st.sampled_from(AWKWARD), min_size=1, max_size=4).map("\n".join),
)
numbers = st.one_of(st.integers(-10**18, 10**18), st.floats(allow_nan=False, allow_infinity=False))
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)), max_leaves=8,
)


def above(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, exclude_min=True)


def section(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


filled = texts.filter(lambda text: bool(text.strip()))
recipes = st.fixed_dictionaries(
    {"data": st.one_of(filled, st.tuples(filled, section(
        format=texts, columns=st.dictionaries(texts, texts, max_size=3), system=st.none() | texts,
        heldout=st.one_of(st.floats(0, 1), st.integers(0, 1), texts), limit=st.none() | st.integers(1, 9),
        max_tokens=st.integers(8, 1_000_000), train_on=st.sampled_from(["assistant", "last", "all"]),
    )).map(lambda pair: {"source": pair[0], **pair[1]}))},
    optional={
        "model": st.one_of(texts, section(name=texts, revision=st.none() | texts.filter(lambda text: len(text) < 100))),
        "method": st.one_of(texts, section(
            name=texts, rank=st.integers(1, 1024), alpha=above(0, 65536), dropout=st.floats(0, 1, exclude_max=True),
            targets=st.one_of(st.just("all-linear"), st.lists(texts, max_size=3)), use_dora=st.booleans(),
            quant_type=st.sampled_from(["nf4", "fp4"]), options=st.dictionaries(texts, anything, max_size=3),
        )),
        "objective": texts,
        "train": section(epochs=above(0, 1000), learning_rate=above(0, 1), warmup=st.floats(0, 1e6),
                         weight_decay=st.floats(0, 1), seed=st.integers(0, 2**31 - 1), length_aware=st.booleans(),
                         schedule=st.sampled_from(["linear", "cosine", "constant"]), max_steps=st.none() | st.integers(1)),
        "evaluate": section(metrics=st.lists(texts, max_size=3), at_end=st.booleans(), limit=st.integers(1, 10**18)),
        "output": st.one_of(texts, section(folder=st.none() | texts)),
    },
).filter(lambda values: values.get("train", {}).get("max_steps") is None or values["train"]["max_steps"] <= 10**18)
property_test = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def script_recipe(script: str) -> Recipe:
    scope: dict[str, Any] = {"__name__": "not_main"}
    exec(script.replace("import ft_notebook\n", ""), scope)
    return recipe_from_values(scope["recipe"])


@property_test
@given(recipes)
def test_yaml_reads_back_to_the_same_digest(values: dict[str, Any]) -> None:
    recipe = recipe_from_values(values)
    for only_changed in (True, False):
        again = parse_recipe(to_yaml(recipe, only_changed=only_changed))
        assert again.model_dump_json() == recipe.model_dump_json()
        assert again.digest() == recipe.digest()


@property_test
@given(recipes, texts)
def test_script_runs_to_the_same_digest(values: dict[str, Any], name: str) -> None:
    recipe = recipe_from_values(values)
    again = script_recipe(to_script(recipe, name=name))
    assert again.model_dump_json() == recipe.model_dump_json()
    assert again.digest() == recipe.digest()


@pytest.mark.parametrize("only_changed", [True, False])
@pytest.mark.parametrize("text", AWKWARD)
def test_awkward_text_reads_back_as_shorthand_field_and_item(text: str, only_changed: bool) -> None:
    recipe = recipe_from_values({
        "data": {"source": "x", "system": text}, "model": text, "objective": text, "output": text,
        "method": {"targets": [text], "options": {text: text}}})
    assert parse_recipe(to_yaml(recipe, only_changed=only_changed)).model_dump() == recipe.model_dump()


@pytest.mark.parametrize("text", AWKWARD)
def test_other_yaml_readers_see_the_same_text(text: str) -> None:
    recipe = recipe_from_values({"data": {"source": "x", "system": text, "columns": {"prompt": text}}})
    read = YAML(typ="safe", pure=True).load(to_yaml(recipe))
    assert read["data"]["system"] == text
    assert read["data"]["columns"]["prompt"] == text


def test_yaml_holds_only_what_was_changed() -> None:
    recipe = parse_recipe("data: tickets.jsonl\nmethod: lora\ntrain: {epochs: 2, seed: 0}")
    assert to_yaml(recipe) == "data: tickets.jsonl\nmethod: lora\ntrain:\n  epochs: 2.0\n"


def test_full_yaml_explains_every_field() -> None:
    text = to_yaml(parse_recipe("data: x"), only_changed=False)
    assert "  # Peak learning rate. (a number above 0 and at most 1)\n  learning_rate: 0.0002\n" in text


def test_multi_line_text_is_written_as_lines() -> None:
    recipe = recipe_from_values({"data": {"source": "x", "system": "One.\n\nTwo: yes"}})
    assert "  system: |-\n    One.\n\n    Two: yes\n" in to_yaml(recipe)


@pytest.mark.parametrize("text", ["yes", "No", "on", "OFF", "y"])
def test_text_that_older_readers_take_for_a_truth_is_quoted(text: str) -> None:
    assert f'model: "{text}"\n' in to_yaml(recipe_from_values({"data": "x", "model": text}))


def test_spaces_that_an_editor_would_strip_are_written_in_quotes() -> None:
    assert 'system: "a \\nb"\n' in to_yaml(recipe_from_values({"data": {"source": "x", "system": "a \nb"}}))


def test_script_calls_finetune_under_the_name_given() -> None:
    script = to_script(parse_recipe("data: x\nmethod: lora"), name="triage")
    assert "recipe = {\n    'data': 'x',\n    'method': 'lora',\n}\n" in script
    assert "run = ft_notebook.finetune(**recipe, name='triage')" in script
    compile(script, "script.py", "exec")


def test_a_name_cannot_break_out_of_the_script() -> None:
    script = to_script(parse_recipe("data: x"), name='a"""\nimport os\n\'')
    assert "\nimport os" not in script
    compile(script, "script.py", "exec")


def test_changed_values_are_what_the_digest_needs() -> None:
    recipe = parse_recipe("data: x\ntrain: {weight_decay: -0.0}")
    assert recipe_from_values(changed_values(recipe)).digest() == recipe.digest()
