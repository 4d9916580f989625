"""The benchmarks of the checks plant what they say, and measure it. No time is asserted here."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks import checks_speed, plant, planted_faults  # noqa: E402
from benchmarks.checks_speed import Timing  # noqa: E402
from benchmarks.planted_faults import Score  # noqa: E402
from benchmarks.varied_rows import LEVELS, TOPICS, free_rows, labelled_rows  # noqa: E402
from ft_notebook.data.checks.finding import Finding  # noqa: E402
from ft_notebook.data.examples import Content  # noqa: E402
from ft_notebook.data.split import copy_key  # noqa: E402

ROW = {"prompt": "What does the scheduler do with a job that has failed twice?",
       "completion": "It waits for an hour, then tries again; after the third failure the job is dropped."}


class Sees:
    """A check that finds given rows."""

    is_default = True

    def __init__(self, name: str, *findings: Finding) -> None:
        self.name, self._findings = name, findings

    def find(self, subject, progress):
        progress(0, 1)
        return [each for each in self._findings]


def use(monkeypatch: pytest.MonkeyPatch, *checks: Sees) -> None:
    class Known:
        def checks(self):
            return {check.name: check for check in checks}
    for module in (checks_speed, planted_faults):
        monkeypatch.setattr(module, "registry", Known)


@pytest.mark.parametrize("name", list(plant.EDITS))
def test_an_edit_changes_the_text_and_makes_no_copy_of_it(name: str):
    draw = random.Random(0)
    for _ in range(30):
        text = plant.EDITS[name](ROW["completion"], draw)
        assert copy_key(Content(text=text)) != copy_key(Content(text=ROW["completion"]))
        assert abs(len(text) - len(ROW["completion"])) < 10


def test_faults_are_what_they_are_called():
    draw = random.Random(0)
    assert "@" in str(plant.with_email(ROW, draw).values())
    assert len(str(plant.with_key(ROW, draw))) > len(str(ROW)) + 30
    short = plant.cut(ROW, draw)["completion"]
    assert ROW["completion"].startswith(short) and len(short) < 0.9 * len(ROW["completion"])
    copy = plant.copied(ROW, draw)
    assert " ".join(copy["completion"].split()) == ROW["completion"]


def test_a_wrong_label_differs_in_the_field_that_is_named_or_in_the_subject():
    draw = random.Random(0)
    answers = ["a, x, high", "a, x, low", "b, y, low", "b, z, high"]
    assert plant.mislabelled(answers[0], answers, 0, draw) == "b, x, high"
    assert plant.mislabelled(answers[0], answers, 2, draw) == "a, x, low"
    assert {plant.mislabelled(answers[0], answers, None, draw) for _ in range(30)} == {"b, y, low", "b, z, high"}


def test_the_figures_of_several_seeds_are_summed(monkeypatch):
    monkeypatch.setattr(planted_faults, "OTHER_SEEDS", range(2))
    monkeypatch.setattr(planted_faults, "found_by", lambda check, subject: {1, 2})
    docs = [dict(ROW) for _ in range(20)]
    more = {each.fault: each for each in planted_faults.more_seeds(docs, [{"text": f"t{n}", "label": "ab"[n % 2]} for n in range(40)])}
    assert (more["answers of python-docs cut"].planted, more["answers of python-docs cut"].found) == (40, 4)
    assert more["category of tickets changed"].planted == 2 * planted_faults.TICKETS_CHANGED


def test_templates_are_all_different():
    rows = plant.templates(200, random.Random(0))
    assert len({row["prompt"] for row in rows}) == len(rows) == 200


def test_rows_are_varied_and_the_same_for_a_seed():
    rows = free_rows(200)
    assert rows == free_rows(200) != free_rows(200, seed=1)
    assert len({row["prompt"] for row in rows}) == 200
    assert {len(row["prompt"].split()) for row in rows} == {60}
    topic, level = labelled_rows(50)[7]["completion"].removesuffix(" priority").split(", ")
    assert topic in TOPICS and level in LEVELS


def test_recall_and_precision_count_rows():
    found = planted_faults.score("keys", "secrets", {1, 2, 3, 4}, {2, 3, 9})
    assert (found.recall, found.precision) == (0.5, pytest.approx(2 / 3))
    assert Score("keys", "secrets", 4, 0, 0).precision == 0.0


def test_planted_rows_are_told_from_others(monkeypatch: pytest.MonkeyPatch):
    """A check that finds the last three rows has them as hits where copies of test rows were appended last."""
    docs = [{"prompt": f"question {n}", "completion": f"the answer number {n} is so."} for n in range(60)]
    rows = 48 + 2 * 3 + 3
    last = Finding("overlap", "blocks", "", "", (1, rows - 2, rows - 1, rows))
    names = ("personal-data", "secrets", "duplicates", "near-duplicates")
    use(monkeypatch, Sees("overlap", last), *map(Sees, names))
    scores = {each.check: each for each in planted_faults.score_docs(docs, each=3)}
    assert (scores["overlap"].recall, scores["overlap"].precision) == (1.0, 0.75)
    assert scores["duplicates"].planted == 6 and scores["secrets"].recall == 0.0


def test_answers_are_cut_where_others_end_as_sentences(monkeypatch: pytest.MonkeyPatch):
    docs = [{"prompt": f"question {n}", "completion": "it is so and so" + "." * (n % 2)} for n in range(60)]
    use(monkeypatch, Sees("outputs", Finding("outputs", "harms", "", "", tuple(range(1, 31)))))
    cut = planted_faults.score_cut(docs, each=6)
    assert (cut.planted, cut.hits, cut.precision) == (6, 6, 0.2)


def test_only_findings_that_harm_or_block_are_false_alarms(monkeypatch: pytest.MonkeyPatch):
    use(monkeypatch, Sees("a", Finding("a", "notice", "", "", (1, 2))),
        Sees("b", Finding("b", "harms", "", "", (3,)), Finding("b", "blocks", "", "", (3, 4))))
    subject = checks_speed.subject_of(free_rows(10))
    assert planted_faults.false_alarms(subject) == (10, 2, {"b": 2})


def test_near_copies_are_counted_by_the_kind_of_edit():
    scores = {each.fault: each for each in planted_faults.score_near(150, 25)}
    assert set(scores) == {*plant.EDITS, "all edits"}
    assert scores["a typo"].planted == 5
    assert scores["all edits"].recall >= 0.9 and scores["all edits"].precision >= 0.9


def test_every_default_check_is_timed(monkeypatch: pytest.MonkeyPatch):
    use(monkeypatch, Sees("a", Finding("a", "notice", "", "", (1,))), Sees("b"))
    timings = checks_speed.measure(checks_speed.subject_of(free_rows(10)))
    assert {name: each.findings for name, each in timings.items()} == {"a": 1, "b": 0}


def test_the_page_adds_up():
    timings = {"a": Timing(1.25, 0, 0.5), "b": Timing(2.0, 3, 0.1)}
    text = checks_speed.page({"free": timings, "labels": timings}, 1000, 512.0)
    assert "| a | 1.2 | 0.5 | 1.2 | 0.5 |" in text
    assert "| all | **3.2** | | **3.2** | |" in text
