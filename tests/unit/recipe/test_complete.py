"""Tab in a half-written recipe: `|` marks the cursor."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ft_notebook.recipe.complete import complete, completion_start
from ft_notebook.recipe.schema import Recipe, TrainSection

NAMES = {"method": ["qlora", "lora", "full"], "metrics": ["exact_match", "rouge_l"], "format": ["chat", "qa"],
         "data": ["tickets_df"], "data.columns": ["ignored"]}
ALL_SECTIONS = list(Recipe.model_fields)
ALL_TRAIN = list(TrainSection.model_fields)


def at(marked: str) -> list[str]:
    cursor = marked.index("|")
    return complete(marked.replace("|", "", 1), cursor, names=NAMES)


@pytest.mark.parametrize(("marked", "words"), [
    ("|", ALL_SECTIONS),
    ("da|", ["data"]),
    ("data: x\n|", [name for name in ALL_SECTIONS if name != "data"]),
    ("data: x\n|\nmethod: lora\ntrain: {}", ["model", "expect", "objective", "kernels", "evaluate", "report", "gates", "output"]),
    ("train:\n  |", ALL_TRAIN),
    ("train:\n  ep|", ["epochs"]),
    ("train:\n  epochs: 3\n  |\n  seed: 1\nmethod: lora", [name for name in ALL_TRAIN if name not in ("epochs", "seed")]),
    ("train:\n    epochs: 3\n    le|", ["learning_rate", "length_aware"]),
    ("train:\n  epochs: 3\nm|", ["model", "method"]),
    ("train: {ep|", ["epochs"]),
    ("train: {ep|}", ["epochs"]),
    ("train: {ep|ochs: 3, seed: 1}", ["epochs"]),
    ("train: {epochs: 3, s|", ["schedule", "seed"]),
    ("train: {s|, seed: 1}\nmethod: lora", ["schedule"]),
    ("train: {\n  epochs: 3,\n  le|\n}", ["learning_rate", "length_aware"]),
    ("train: {\"epochs\": 3, ep|", []),
    ("evaluate: {metrics: [exact_match], at|", ["at_end"]),
    ("method: |", ["qlora", "lora", "full"]),
    ("method: q|", ["qlora"]),
    ("method:\n  name: l|", ["lora"]),
    ("method: {name: f|", ["full"]),
    ("method: {targets: |", ["all-linear"]),
    ("method: {use_dora: t|", ["true"]),
    ("train:\n  schedule: co|", ["cosine", "constant"]),
    ("train: {epochs: 3, schedule: |}", ["linear", "cosine", "constant"]),
    ("data: t|", ["tickets_df"]),
    ("data:\n  format: |", ["auto", "chat", "qa"]),
    ("evaluate:\n  metrics: [r|", ["rouge_l"]),
    ("evaluate: {metrics: [exact_match, r|]}", ["rouge_l"]),
    ("evaluate:\n  metrics:\n    - e|", ["exact_match"]),
    ("evaluate:\n  metrics:\n  - exact_match\n  - |", ["exact_match", "rouge_l"]),
    ("model: s|", ["smollm2-135m-instruct"]),
    # nothing can be said
    ("method:|", []),
    ("# me|", []),
    ("train: {ep # co|", []),
    ("data: x # ma|", []),
    ("data: 'x|", []),
    ("data: {source: 'tick|", []),
    ("train: {epochs: 3}|", []),
    ("train: {epochs: |", []),
    ("nonsense:\n  |", []),
    ("data:\n  columns: {pro|", []),
    # text that does not parse
    ("data: 'never closed\ntrain: {ep|", ["epochs"]),
    ("data: a: b: c\nmethod: {ra|", ["rank"]),
    ("}}]\ntr|", ["train"]),
    ("\ttrain:\n  |", ALL_SECTIONS),
])
def test_completes(marked: str, words: list[str]) -> None:
    assert at(marked) == words


def test_cursor_may_be_a_line_and_column_counted_from_zero() -> None:
    text = "data: x\ntrain:\n  ep\nmethod: lora"
    assert complete(text, (2, 4)) == ["epochs"] == complete(text, text.index("ep") + 2)
    assert completion_start(text, (2, 4)) == text.index("ep")


def test_the_word_being_replaced_starts_where_it_was_typed() -> None:
    assert completion_start("train: {epochs: 3, sch", 22) == 19
    assert completion_start("method: qlo", 11) == 8
    assert completion_start("method: ", 8) == 8


def test_names_may_be_left_out() -> None:
    assert complete("method: q", 9) == ["qlora"]


_BITS = st.sampled_from([*"{}[],:- \n'\"#|ab", "train", "\n  ", ": "])


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=80), st.lists(_BITS, max_size=40).map("".join)), st.integers(-3, 90))
def test_any_text_at_any_cursor_can_be_asked(text: str, cursor: int) -> None:
    words = complete(text, cursor, names=NAMES)
    offset = max(0, min(cursor, len(text)))
    typed = text[completion_start(text, cursor):offset]
    assert all(word.startswith(typed) for word in words)
    complete(text, (cursor, cursor))
