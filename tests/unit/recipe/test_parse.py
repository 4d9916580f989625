"""What a good recipe means, from YAML and from keywords."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ft_notebook.errors import RecipeError
from ft_notebook.recipe.parse import (
    check_names,
    parse_recipe,
    parse_recipe_with_positions,
    recipe_from_values,
)
from ft_notebook.recipe.schema import Recipe, TrainSection

THE_CELL = """
model: smollm2-135m-instruct        # the embedded default; also a local folder or a hub id
data: tickets.jsonl                 # a path
method: qlora
train: {epochs: 3, learning_rate: 2e-4}
"""
NAMES: dict[str, Any] = {"methods": ["qlora", "lora", "full"], "objectives": ["sft", "text"],
                         "formats": ["chat", "qa"], "metrics": ["exact_match", "rouge_l"],
                         "checks": ["overlap", "secrets"]}


def test_the_cell_of_the_readme_is_read() -> None:
    recipe = parse_recipe(THE_CELL)
    assert recipe.model.name == "smollm2-135m-instruct"
    assert recipe.data.source == "tickets.jsonl"
    assert recipe.method.name == "qlora"
    assert (recipe.train.epochs, recipe.train.learning_rate) == (3.0, 2e-4)


@pytest.mark.parametrize(("text", "value"), [
    ("1e-4", 1e-4), ("1E-4", 1e-4), ("2.0e-4", 2e-4), (".5", 0.5), ("1.", 1.0), ("1", 1.0), ("+0.25", 0.25),
])
def test_number_is_read_as_a_number(text: str, value: float) -> None:
    assert parse_recipe(f"data: x\ntrain: {{learning_rate: {text}}}").train.learning_rate == value


@pytest.mark.parametrize("text", ["yes", "no", "on", "2024-01-01", "0x10", "1_000", "12:30", "nan", "inf", "'3'", "a:b"])
def test_text_that_other_readers_take_for_something_else_stays_text(text: str) -> None:
    assert parse_recipe(f"data: {text}").data.source == text.strip("'")


def test_shorthand_and_mapping_give_the_same_digest() -> None:
    short = parse_recipe("data: x\nmodel: m\nmethod: lora\nobjective: sft")
    long = parse_recipe("method: {name: lora}\nobjective: {name: sft}\nmodel:\n  name: m\ndata:\n  source: x")
    assert short.digest() == long.digest()


@pytest.mark.parametrize(("text", "digest"), [
    ("data: rows.jsonl", "3e6864ad4f41ffc65b60b7b18f220c91496ebc727905854f229bbc2e2ea7eae1"),
    ("data: rows.jsonl\nmethod: {name: qlora, rank: 8}\ntrain: {epochs: 1.0}\noutput: there",
     "ddf5fe433f6c6d6d2f77810e8c54c7a166cc6ed3040cc3f4d91547f5a15b87b1"),
])
def test_runs_from_before_there_were_kernels_are_found_again(text: str, digest: str) -> None:
    recipe = parse_recipe(text)
    assert recipe.digest() == digest == parse_recipe(f"{text}\nkernels: auto").digest()
    written_then = recipe.model_dump(exclude={"kernels"})
    assert Recipe.model_validate(written_then).digest() == digest


@pytest.mark.parametrize("mode", ["fused", "dequantize", "off"])
def test_other_kernels_are_another_run(mode: str) -> None:
    short, long = parse_recipe(f"data: x\nkernels: {mode}"), parse_recipe(f"data: x\nkernels: {{mode: {mode}}}")
    assert short.kernels.mode == mode and short.digest() == long.digest() != parse_recipe("data: x").digest()


def test_a_wrong_kernel_mode_is_refused_with_those_there_are() -> None:
    with pytest.raises(RecipeError, match=r"must be auto, fused, dequantize or off, not `fuse`\. Did you mean `fused`\?"):
        parse_recipe("data: x\nkernels: fuse")


def test_whole_number_and_fraction_give_the_same_digest() -> None:
    assert parse_recipe("data: x\ntrain: {epochs: 2}").digest() == parse_recipe("data: x\ntrain: {epochs: 2.0}").digest()


def test_output_does_not_change_the_digest_and_training_does() -> None:
    plain = parse_recipe("data: x")
    assert parse_recipe("data: x\noutput: here").digest() == plain.digest()
    assert parse_recipe("data: x\ntrain: {seed: 1}").digest() != plain.digest()


def test_section_whose_lines_are_commented_out_has_its_defaults() -> None:
    assert parse_recipe("data: x\ntrain:\n  # epochs: 3\n") == parse_recipe("data: x")


def test_explicit_document_start_byte_order_mark_and_crlf_are_read() -> None:
    assert parse_recipe("\ufeff---\r\ndata: x\r\ntrain:\r\n  seed: 4\r\n").train.seed == 4


def test_model_folder_may_lie_anywhere() -> None:
    assert parse_recipe("data: ../x.jsonl\nmodel: ../../models/mine").model.name == "../../models/mine"


def test_multi_line_system_prompt_is_kept() -> None:
    recipe = parse_recipe("data:\n  source: x\n  system: |\n    One.\n\n      Two: yes\n")
    assert recipe.data.system == "One.\n\n  Two: yes\n"


def test_keywords_are_read_like_yaml() -> None:
    recipe = recipe_from_values({
        "data": Path("a") / "b.jsonl", "method": {"name": "lora", "rank": np.int64(4), "targets": ("q_proj",)},
        "train": TrainSection(learning_rate=np.float64(1e-3), epochs=np.float32(2)),
    })
    assert recipe.digest() == parse_recipe(
        "data: a/b.jsonl\nmethod: {name: lora, rank: 4, targets: [q_proj]}\ntrain: {learning_rate: 1e-3, epochs: 2}"
    ).digest()


LOOP: dict[str, object] = {}
LOOP["again"] = LOOP


@pytest.mark.parametrize(("values", "phrases"), [
    ({"data": "x", "train": {"lr": 1}}, ["`lr` is no key of `train`. Did you mean `learning_rate`?"]),
    ({"data": "x", "train": {"epochs": "3"}}, ["`epochs` must be a number above 0", 'not `"3"`', "without quotes"]),
    ({"data": "x", "train": {"epochs": float("nan")}}, ["`epochs` must be", "not `NaN`"]),
    ({"data": "x", "train": {"seed": 10**30}}, ["`seed` is a whole number beyond 1e+18"]),
    ({"data": "x", "method": {"options": {"f": {1, 2}}}}, ["`options.f` is of type `set`"]),
    ({"data": "x", "method": {"options": LOOP}}, ["nested at most 16"]),
    ({"data": "x", "method": {"options": {1: 2}}}, ["the key `1` is not text"]),
    ({"data": "a\0"}, ["U+0000"]),
    ({"data": "\ud800"}, ["U+D800"]),
    ({"data": "x", "model": "y" * 70_000}, ["larger than 65,536 bytes"]),
    ({"data": b"x"}, ["is of type `bytes`"]),
    ({}, ["names no data"]),
    ("data: x", ["a mapping of keys to values, not `str`"]),
])
def test_bad_keywords_get_the_same_sentences_without_a_line(values: Any, phrases: list[str]) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe_from_values(values)
    assert caught.value.line is None
    for phrase in phrases:
        assert phrase in str(caught.value)


def test_known_names_pass() -> None:
    recipe, positions = parse_recipe_with_positions("data: x\nevaluate: {metrics: [rouge_l]}")
    check_names(recipe, positions, **NAMES)


@pytest.mark.parametrize(("text", "line", "column", "phrase"), [
    ("data: x\nmethod: qlroa", 2, 9, "`qlroa` is no method; there are full, lora and qlora. Did you mean `qlora`?"),
    ("data: x\nmethod:\n  name: qlroa", 3, 9, "`qlroa` is no method"),
    ("data: x\nobjective: sfd", 2, 12, "`sfd` is no objective; there are auto, sft and text. Did you mean `sft`?"),
    ("data: {source: x, format: chatt}", 1, 27, "`chatt` is no format; there are auto, chat and qa. Did you mean `chat`?"),
    ("data: x\nevaluate:\n  metrics: [rouge_l, exact_mach]", 3, 22, "`exact_mach` is no metric"),
    ("data: x\nexpect: {accept: [overlap, secret]}", 2, 28, "`secret` is no check; there are overlap and secrets. Did you"),
])
def test_unknown_name_points_at_its_place(text: str, line: int, column: int, phrase: str) -> None:
    recipe, positions = parse_recipe_with_positions(text)
    with pytest.raises(RecipeError) as caught:
        check_names(recipe, positions, **NAMES)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert phrase in str(caught.value)


def test_unknown_name_of_a_python_call_has_no_line() -> None:
    with pytest.raises(RecipeError, match=r"^`nope` is no method"):
        check_names(recipe_from_values({"data": "x", "method": "nope"}), **NAMES)


def test_every_field_is_documented_and_its_default_is_allowed() -> None:
    for section in Recipe.model_fields.values():
        assert section.annotation is not None
        for name, field in section.annotation.model_fields.items():
            assert field.description, name
    defaults = parse_recipe("data: x").model_dump()
    assert recipe_from_values(defaults).digest() == parse_recipe("data: x").digest()
