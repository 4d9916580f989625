"""The widget: what its page is handed, what it says back, and what stays where no kernel is."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from ft_notebook.notebook.assets import asset

sys.path.insert(0, str(Path(__file__).parents[1] / "evaluate"))
sys.path.insert(0, str(Path(__file__).parents[2]))

from hostile import HOSTILE
from sample_evaluation import LABELS, everywhere, made_rows, sample

from ft_notebook.evaluate.evaluation import Answer
from ft_notebook.notebook.dashboard.card import SCRIPTS
from ft_notebook.notebook.dashboard.dashboard import Dashboard
from ft_notebook.notebook.dashboard.nearest import TrainingRow
from ft_notebook.notebook.dashboard.state import MOST_ROWS, state_of
from ft_notebook.notebook.live import WIDGET_MIME
from ft_notebook.views.text import visible


def test_the_page_is_handed_rows_with_what_is_right_and_which_label_was_said():
    found = sample()
    state = json.loads(json.dumps(state_of(found)))
    assert (state["tuned"], state["baseline"], state["kind"], state["sign"]) == (3, 2, "ship", "✓")
    assert state["labels"] == list(LABELS) and len(state["rows"]) == 180
    for row, told in zip(found.rows, state["rows"], strict=True):
        assert told["truth"] == LABELS.index(row.reference)
        for each, (name, answer) in zip(told["answers"], row.answers.items(), strict=True):
            label = LABELS.index(answer.text) if answer.text in LABELS else 4
            assert each == [answer.text, answer.score, answer.score == 1, answer.confidence, label], name
    counts = [[0] * 5 for _ in range(5)]
    for told in state["rows"]:
        counts[told["truth"]][told["answers"][3][4]] += 1
    assert state["confusion"][3] == counts, "cells and rows agree"


def test_places_on_the_axis_are_shares_of_it():
    state = state_of(sample())
    tuned = state["contenders"][3]
    assert tuned["places"] == [pytest.approx(0.84, abs=0.01), pytest.approx(0.894, abs=0.01), pytest.approx(0.93, abs=0.01)]
    assert state["ticks"] == [[0.0, "0 %"], [0.25, "25 %"], [0.5, "50 %"], [0.75, "75 %"], [1.0, "100 %"]]
    found = sample(main_metric="perplexity")
    places = [each["places"] for each in state_of(found)["contenders"]]
    assert places[1] == [None, None, None] and 0 < places[3][0] < places[3][2] < places[0][0] < places[0][2] < 1
    assert state_of(found)["isBetterHigh"] is False and state_of(found)["rows"][0]["answers"][0][2] is None


def test_parts_that_were_not_measured_are_not_handed_over():
    state = state_of(sample(forgetting=None, calibration=None, fit=None, slices=[], gaps=[], hard=[], preferences=[], gates=[], differences=[]))
    assert set(state["tables"]) == {"glance", "figures"} and state["words"] == {} and state["bins"] == state["coverage"] == state["fallen"] == []
    full = state_of(sample())
    assert set(full["tables"]) == {"glance", "figures", "differences", "slices", "gaps", "hard", "preferences", "gates", "fields", "tasks"}
    assert full["against"] == [0, 1, 2, 4] and set(full["words"]) == {"forgetting", "calibration", "fit"}


def test_long_texts_and_many_rows_are_cut_and_counted():
    row = made_rows(1)[0]
    many = [row.model_copy(update={"prompt": "x" * 9000}) for _ in range(MOST_ROWS + 3)]
    state = state_of(sample(rows=many))
    assert len(state["rows"]) == MOST_ROWS and state["notes"][-1] == "3 more rows not shown here; the JSON report holds all."
    assert state["rows"][0]["prompt"].endswith("… (9,000 characters)") and len(json.dumps(state)) < 12_000_000
    short = state_of(sample(rows=many[:2]))["rows"][0]["prompt"]
    assert len(short) > len(state["rows"][0]["prompt"]) and short.startswith("x" * 4000)


def test_a_coverage_curve_of_many_rows_is_thinned_and_keeps_its_ends():
    found = sample()
    points = [found.calibration.coverage[0].model_copy(update={"threshold": at / 3000, "coverage": 1 - at / 3000}) for at in range(3000)]
    state = state_of(sample(calibration=found.calibration.model_copy(update={"coverage": points})))
    assert len(state["coverage"]) == 200 and state["coverage"][0][0] == 0 and state["coverage"][-1][0] == 2999 / 3000


def test_a_row_that_a_contender_did_not_answer_has_its_place():
    row = made_rows(1)[0]
    state = state_of(sample(rows=[row.model_copy(update={"answers": {"tuned": Answer(text="x", score=None, confidence=None)}})]))
    assert state["rows"][0]["answers"] == [None, None, None, ["x", None, None, None, 4], None]


def test_the_page_is_handed_words_in_which_nothing_hides():
    for text in HOSTILE:
        read = json.loads(json.dumps(state_of(everywhere(text)), ensure_ascii=False).encode())
        assert not set("\x1b\u202e\x00\u200b\x9b\r") & set(json.dumps(read, ensure_ascii=False))
        seen = visible(text)
        assert read["rows"][0]["prompt"] == read["rows"][0]["reference"] == seen and read["verdict"] == visible(f"Do not ship. {text.strip()}")
        assert [read["rows"][0]["slices"], read["slices"]] == [[[seen, seen]], [[seen, seen]]]


def test_training_examples_are_handed_over_with_nothing_hidden():
    assert state_of(sample())["training"] == []
    for text in HOSTILE:
        state = json.loads(json.dumps(state_of(sample(), {7: TrainingRow(text, "billing")}), ensure_ascii=False).encode())
        assert state["training"] == [[7, visible(text), "billing"]]
        bundle = Dashboard(sample(), training={7: TrainingRow(text, "billing")}).state
        assert bundle["training"] == [[7, visible(text), "billing"]]


def test_a_saved_notebook_keeps_the_card_beside_the_widget():
    dashboard = Dashboard(sample())
    bundle = dashboard.bundle()
    assert set(bundle) == {WIDGET_MIME, "text/html", "text/plain"} and bundle[WIDGET_MIME]["model_id"] == dashboard.model_id
    stays, lives = dashboard.outputs()
    assert stays["text/html"].startswith('<div class="ftn-evaluated"><style>') and WIDGET_MIME not in stays
    assert set(lives) == {WIDGET_MIME, "text/plain"} and stays["text/plain"].startswith("✓ triage: Ship")


def test_the_script_and_its_style_keep_to_the_rules_of_the_house():
    code, style = asset(*SCRIPTS), asset("dashboard/dashboard.css")
    assert len(code.encode()) < 50_000 and "</" not in code and "<!--" not in code
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser|https?://(?!www\.w3\.org)", code)
    colours = [line for line in style.splitlines() if re.search(r"#[0-9a-fA-F]{3,8}\b|rgba?\(|hsla?\(", line)]
    assert all("--ftn-s4:" in line for line in colours)
    assert set(re.findall(r"var\((--jp-[\w-]+)\)", style)) == set(), "each with something to fall back on"
