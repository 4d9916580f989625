"""The card of an evaluation: what stays in a saved notebook, and the page of its own."""

from __future__ import annotations

import base64
import html
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "evaluate"))
sys.path.insert(0, str(Path(__file__).parents[2]))

from hostile import HOSTILE
from sample_evaluation import everywhere, made_rows, sample

from ft_notebook.evaluate.evaluation import Answer, Verdict
from ft_notebook.notebook.dashboard.card import page_html, static_html, static_text
from ft_notebook.notebook.dashboard.nearest import TrainingRow
from ft_notebook.notebook.dashboard.tables import labels_and_counts, shade
from ft_notebook.views.text import visible

MISSING = dict(forgetting=None, calibration=None, fit=None, slices=[], gaps=[], hard=[], preferences=[], gates=[], notes=[], differences=[])


class Reader(HTMLParser):
    """The words of a card outside its style, its elements, and whether each is closed."""

    def __init__(self, page):
        super().__init__()
        self.open, self.words, self.tags = [], "", []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words += data


def summaries(page):
    return [html.unescape(re.sub(r"<[^>]*>", "", each)) for each in re.findall(r"<summary>(.*?)</summary>", page)]


def drawings(page):
    found = re.findall(r'src="data:image/svg\+xml;base64,([^"]*)"', page)
    return [ElementTree.fromstring(base64.b64decode(each)) for each in found]


def test_the_card_has_the_verdict_the_figures_and_a_fold_for_each_part():
    page = static_html(sample())
    words = Reader(page).words
    assert "✓ Ship: +38 points exact match over the best prompt" in words and "✗ language de is 24 points below the rest" in words
    assert "89 % (84 to 93)" in words and "1 gate failed" in words and "retrieved (BM25)" in words
    folds = [each for each in summaries(page) if not each.startswith("Row ")]
    assert folds == ["What was forgotten: general questions -3.0 points (-5.5 to -0.5)", "1 question that only the base model answered",
                     "Answers to general prompts that moved furthest", "Confidence: calibration error 0.05 (0.03 to 0.09)", "Learnt or memorised: gap +6 points (+1 to +11)",
                     "Slices: the worst is language de", "Labels taken for others", "Hard inputs: 24 of 30 handled", "Injected instructions: 1 input not handled",
                     "Vague inputs: 3 inputs not handled", "Other languages: 2 inputs not handled", "Preferences", "19 rows answered wrongly of 180 rows, the surest first"]


@pytest.mark.parametrize(("kind", "sign", "look"), [("ship", "✓", "ftn-verdict"), ("hold", "✗", "ftn-verdict ftn-bad"), ("undecided", "?", "ftn-verdict ftn-noise")])
def test_a_verdict_is_told_by_a_sign_and_words_besides_its_colour(kind, sign, look):
    reader = Reader(static_html(sample(verdict=Verdict(kind=kind, sentence="few-shot does as well", reasons=[]))))
    opening = {"ship": "Ship. ", "hold": "Do not ship. ", "undecided": "Undecided. "}[kind]
    assert f"{sign} {opening}few-shot does as well" in reader.words
    assert ("p", {"class": look}) in reader.tags


def test_pictures_say_in_words_what_they_show():
    page = static_html(sample())
    alts = [attributes["alt"] for tag, attributes in Reader(page).tags if tag == "img"]
    assert alts[0].startswith("exact match with 95 % intervals: base, zero-shot 13 % (9 to 19); base, 5 examples")
    assert alts[1].startswith("Reliability: 22 rows at ") and alts[2].startswith("Coverage: ") and len(alts) == 3
    texts = ["".join(node.itertext()) for node in drawings(page)[0] if node.tag.endswith("text")]
    assert "tuned: triage" in texts and "89 % (84 to 93)" in texts


def test_the_forest_puts_every_contender_where_its_figure_is():
    paths = [node for node in drawings(static_html(sample()))[0] if node.tag.endswith("path") and node.get("fill")]
    middles = [sum(float(x) for x in re.findall(r"[ML](-?[\d.]+) ", path.get("d"))) / len(re.findall(r"[ML]", path.get("d"))) for path in paths]
    assert len(paths) == 5 and middles[0] < middles[1] < middles[2] < middles[4] < middles[3]


def test_tables_have_captions_and_scopes():
    reader = Reader(static_html(sample()))
    assert sum(tag == "caption" for tag, _ in reader.tags) == 11
    assert all(attributes.get("scope") in {"col", "row"} for tag, attributes in reader.tags if tag == "th")
    headings = [tag for tag, _ in reader.tags if re.fullmatch("h[1-6]", tag)]
    assert headings == [], "a notebook's table of contents is its author's"


def test_what_was_not_measured_is_not_there():
    page = static_html(sample(**MISSING))
    folds = [each for each in summaries(page) if not each.startswith("Row ")]
    assert folds == ["Labels taken for others", "19 rows answered wrongly of 180 rows, the surest first"]
    assert "None" not in Reader(page).words and "gate" not in Reader(page).words
    bare = sample(**MISSING, rows=[])
    bare = bare.model_copy(update={"contenders": [each.model_copy(update={"confusion": None, "figures": []}) for each in bare.contenders]})
    assert "<img" not in static_html(bare) and summaries(static_html(bare)) == []


def test_a_failure_shows_all_answers_with_what_differs_marked():
    row = made_rows(1)[0].model_copy(update={"reference": "Billing, duplicate charge, high priority", "answers": {
        "tuned": Answer(text="Billing, duplicate charge, low priority", score=0.0, confidence=0.91),
        "retrieved": Answer(text="Billing, duplicate charge, high priority", score=1.0, confidence=None)}})
    page = static_html(sample(rows=[row]))
    fold = page[page.index("<summary>Row 3"):]
    assert summaries(page)[-1].startswith("Row 3 · 0.91 sure · base, retrieved (BM25) is right · Hi, my invoice 1000")
    assert "duplicate charge, <del>high</del> priority" in fold and "duplicate charge, <ins>low</ins> priority" in fold
    assert "Nearest in the training data: rows 1, 40." in fold and "language: en" in fold
    assert ">✗ wrong · 0.91 sure<" in fold and ">✓ right<" in fold


def test_a_failure_shows_the_nearest_training_examples_as_text_that_is_cut():
    row = made_rows(1)[0].model_copy(update={"nearest": [40, 1200, 9], "answers": {"tuned": Answer(text="x", score=0.0, confidence=0.91)}})
    training = {1200: TrainingRow("p" * 500, "t" * 500), 40: TrainingRow("<b>My\ninvoice</b>", "billing")}
    page = static_html(sample(rows=[row]), training)
    fold = page[page.index("<summary>Row 3"):]
    lines = [html.unescape(each) for each in re.findall(r"<li>(.*?)</li>", fold)]
    assert lines == ["Training row 40: <b>My ↵ invoice</b> → billing",
                     f"Training row 1,200: {'p' * 120}… (500 characters) → {'t' * 60}… (500 characters)"]
    assert "<b>My" not in fold and "rows 40, 1,200, 9." in fold


def test_training_examples_take_no_more_room_than_the_card_has():
    training = {row: TrainingRow("\u9000" * 3000, "$" * 3000) for row in range(1, 600)}
    rows = [row.model_copy(update={"answers": {**row.answers, "tuned": Answer(text="\\" * 900, score=0.0, confidence=0.5)}}) for row in made_rows(500)]
    assert 150_000 < len(static_html(sample(rows=rows), training).encode()) < 400_000


def test_graded_scores_are_shown_as_they_are():
    row = made_rows(1)[0].model_copy(update={"answers": {"tuned": Answer(text="a", score=0.25, confidence=None), "base": Answer(text="b", score=0.5, confidence=None)}})
    page = static_html(sample(rows=[row]))
    assert ">25 %<" in page and ">50 %<" in page and "1 failure of 1 row, the surest first" in summaries(page)


def test_the_card_of_500_rows_stays_small_and_counts_what_is_left_out():
    assert len(static_html(sample(500)).encode()) < 200_000
    rows = [row.model_copy(update={"prompt": "$" * 900, "reference": "$" * 900}) for row in made_rows(500)]
    rows = [row.model_copy(update={"answers": {**row.answers, "tuned": Answer(text="\\" * 900, score=0.0, confidence=0.5)}}) for row in rows]
    page = static_html(sample(rows=rows))
    assert 200_000 < len(page.encode()) < 400_000
    left = re.search(r"([\d,]+) more failures are not shown here; the JSON report holds all\.", page)
    assert int(left.group(1)) + page.count("<summary>Row ") == 500


def test_parts_that_do_not_fit_are_counted():
    found = sample()
    suites = [suite.model_copy(update={"title": "$" * 4000}) for suite in found.hard]
    slices = [each.model_copy(update={"value": "$" * 4000}) for each in found.slices] * 20
    page = static_html(found.model_copy(update={"hard": suites, "slices": slices, "gates": [found.gates[0].model_copy(update={"text": "$" * 900, "why": "$" * 900})] * 99}))
    assert len(page.encode()) < 400_000 and re.search(r"The last \d+ parts? did not fit", page)


@pytest.mark.parametrize("text", HOSTILE)
def test_every_hostile_string_in_every_slot_is_shown_as_text(text):
    page = static_html(everywhere(text))
    known = {(tag, *sorted(attributes)) for tag, attributes in Reader(static_html(everywhere("plain"))).tags} | {("span",), ("ins",), ("del",)}
    reader = Reader(page)
    assert {(tag, *sorted(attributes)) for tag, attributes in reader.tags} <= known
    words = re.sub(r"\s+", " ", reader.words.replace(" ↵ ", " "))
    assert words.count(re.sub(r"\s+", " ", visible(text))[:80].strip()) >= 30
    for drawing in drawings(page):
        assert not [node for node in drawing.iter() if node.tag.split("}")[1] not in {"svg", "path", "text"}]
    between = re.split(r"<[^>]*>", page.split("</style>")[-1])
    assert all(not re.search(r"\$.*\$|\\.", piece) for piece in between)
    assert not set("\x1b\u202e\x00\u200b\x9b\r") & set(page + static_text(everywhere(text)))


def test_the_text_says_verdict_reasons_contenders_and_failed_gates():
    lines = static_text(sample()).splitlines()
    assert lines[0].startswith("✓ triage: Ship: +38 points") and "  ✗ language de is 24 points below the rest" in lines
    assert "  tuned: triage: exact match 89 % (84 to 93)" in lines and "  gate failed: no slice below 0.75: language de is at 0.69." in lines


def test_the_matrix_leaves_out_what_never_occurs_and_shades_by_label():
    matrix = {"labels": ["a", "b"], "counts": [[3, 1, 0], [0, 0, 0], [0, 0, 0]]}
    assert labels_and_counts(matrix) == (["a", "b"], [[3, 1], [0, 0]])
    unparsable = {"labels": ["a", "b"], "counts": [[3, 1, 2], [0, 0, 0], [0, 0, 0]]}
    assert labels_and_counts(unparsable) == (["a", "b", "no label"], [[3, 1, 2], [0, 0, 0]])
    assert [shade(count, [3, 1, 96]) for count in (3, 0, 96)] == [1, 0, 5]


@pytest.mark.parametrize("text", ["</script><script>alert(1)</script>", "<!--<script>", "\u2028</SCRIPT >", *HOSTILE[:20]])
def test_the_data_of_the_page_end_no_script(text):
    page = page_html(everywhere(text))
    scripts = re.findall(r"<script[^>]*>(.*?)</script", page, flags=re.DOTALL | re.IGNORECASE)
    assert len(scripts) == 2 and "<" not in scripts[0] and "mount(" in scripts[1]
    assert json.loads(scripts[0])["name"] == visible(text)
    assert page.count("<!--") == 0


def test_the_page_holds_the_card_for_readers_without_a_script():
    page = page_html(sample())
    assert page.startswith("<!DOCTYPE html>") and '<div id="ftn-static">' in page and not re.search(r"https?://(?!www\.w3\.org)", page)
    before = page[:page.index("<script")]
    assert "19 rows answered wrongly" in before and "89 % (84 to 93)" in before
