"""A run is evaluated by a process of its own, which runs no example twice."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest
import runs
import small_runs

import ft_notebook
from ft_notebook.errors import RunError, UserError
from ft_notebook.evaluate.evaluation import Evaluation
from ft_notebook.notebook import evaluating
from ft_notebook.notebook.evaluating import evaluate, newest_evaluation, require_evaluation
from ft_notebook.store.run_folder import RunFolder
from ft_notebook.train import evaluator, worker
from ft_notebook.train.evaluated import UnderEvaluation

SMALL = {"report": {"hard": False, "forgetting": False}, "evaluate": {"bootstrap": 100, "max_new_tokens": 3}}


@pytest.fixture(scope="module")
def run(tiny_model, tmp_path_factory) -> RunFolder:
    """A finished run; its store is the user's for the whole module."""
    home = tmp_path_factory.mktemp("home")
    before = os.environ.get("FT_NOTEBOOK_HOME")
    os.environ["FT_NOTEBOOK_HOME"] = str(home)
    made = small_runs.make(tiny_model)
    worker.main([str(made.path)])
    assert made.state() == "finished", made.error()
    yield made
    os.environ.pop("FT_NOTEBOOK_HOME")
    if before is not None:
        os.environ["FT_NOTEBOOK_HOME"] = before


@pytest.fixture(autouse=True)
def home(run, monkeypatch):
    monkeypatch.setenv("FT_NOTEBOOK_HOME", str(run.path.parents[1]))


@pytest.fixture
def here(monkeypatch):
    """The evaluator in this process; the stages that it told of."""
    stages: list[str] = []

    def ask(order, *, told=None):
        def say(stage, done, total):
            if not stages or stages[-1] != stage:
                stages.append(stage)
            if told is not None:
                told(stage, done, total)

        return evaluator.gather(UnderEvaluation(order, say))

    monkeypatch.setattr(evaluating, "gather", ask)
    return stages


def test_an_evaluation_holds_every_contender_on_the_same_rows(run, here):
    found = evaluate(run.name, objects={}, **SMALL).evaluation
    assert [one.name for one in found.contenders] == ["base", "few-shot", "retrieved", "tuned"]
    heldout = [json.loads(line)["id"] for line in run.heldout_lines()]
    assert [row.id for row in found.rows] == heldout
    assert all(set(row.answers) == {"base", "few-shot", "retrieved", "tuned"} for row in found.rows)
    losses = {one.name: [figure.value for figure in one.figures if figure.metric == "loss"] for one in found.contenders}
    assert losses["base"] and losses["tuned"] and losses["base"] != losses["tuned"]
    assert found.source == "the held-out examples of test"
    assert found.fit is not None and found.fit.asked == len(list(run.train_lines()))


def test_it_is_kept_beside_the_run_and_found_again(run, here):
    evaluated = evaluate(run.name, objects={}, **SMALL)
    assert evaluated.path.parent == run.path / "evaluations"
    again = newest_evaluation(run)
    assert again is not None and again.evaluation == evaluated.evaluation
    assert require_evaluation(run.name).path == again.path
    assert ft_notebook.load_run(run.name).evaluation.verdict == evaluated.verdict


def test_nothing_is_asked_twice(run, here):
    evaluate(run.name, objects={}, **SMALL)
    here.clear()
    evaluate(run.name, objects={}, **SMALL)
    assert here == ["loading the model", "looking for the best few-shot prompt"]


def test_an_evaluation_that_was_cut_off_goes_on_where_it_was(run, here):
    class Cut(Exception):
        pass

    asked: list[tuple[str, int]] = []

    def cut(stage, done, total):
        asked.append((stage, done))
        if stage == "tuned: test" and done == 2:
            raise Cut

    options = SMALL | {"evaluate": {"bootstrap": 100, "max_new_tokens": 4}}        # no answer is kept of these
    with pytest.raises(Cut):
        evaluate(run.name, objects={}, told=cut, **options)
    asked.clear()
    evaluate(run.name, objects={}, told=lambda stage, done, total: asked.append((stage, done)), **options)
    assert [done for stage, done in asked if stage == "base, zero-shot"] == []
    assert all(done > 2 for stage, done in asked if stage == "tuned: test")
    assert ("base, retrieved (BM25)", 1) in asked


def test_other_data_and_gates_go_over_the_recipe_of_the_run(run, here, tmp_path):
    data = tmp_path / "fresh.jsonl"
    data.write_text("".join(json.dumps({"prompt": f"p{i}", "completion": "Billing, refund, high priority",
                                        "country": "de" if i % 2 else "uk"}) + "\n" for i in range(24)))
    text = (f"data: {data}\nreport: {{contenders: [base], slices: [country], forgetting: false, hard: false}}\n"
            "evaluate: {bootstrap: 100, max_new_tokens: 3}\ngates: [exact_match >= 0.9]\n")
    evaluated = evaluate(run.name, recipe=text, objects={})
    found = evaluated.evaluation
    assert len(found.rows) == 24 and [one.name for one in found.contenders] == ["base", "tuned"]
    assert {row.slices["country"] for row in found.rows} == {"de", "uk"}
    assert [gate.passed for gate in found.gates] == [False] and not evaluated.is_passed
    assert found.verdict.kind == "hold" and "gate" in found.verdict.sentence


def test_metrics_of_the_notebook_score_beside_the_others(run, here):
    objects = {"is_short": lambda answer, reference: len(answer) < 40, "says_high": re.compile("high")}
    found = evaluate(run.name, objects=objects, report=SMALL["report"],
                     evaluate={"bootstrap": 100, "max_new_tokens": 3, "metrics": ["is_short", "says_high"]}).evaluation
    assert found.main_metric == "is_short"
    assert {figure.metric for figure in found.contender("tuned").figures} >= {"is_short", "says_high", "loss"}


def test_general_questions_and_hard_inputs_are_asked_before_and_after(run, here):
    found = evaluate(run.name, objects={}, report={"contenders": ["base"]},
                     evaluate={"bootstrap": 100, "max_new_tokens": 3}).evaluation
    assert found.forgetting is not None and found.forgetting.overall.questions >= 200
    assert found.forgetting.drift is not None and found.forgetting.drift.kl > 0
    assert len(found.hard) >= 8 and all(suite.cases for suite in found.hard)


def test_plain_text_is_compared_by_its_loss(tiny_model, tmp_path, here):
    data = tmp_path / "text.jsonl"
    data.write_text("".join(json.dumps({"text": f"the {i}th line of a text that goes on and on"}) + "\n"
                            for i in range(24)))
    made = runs.new_run(f"model: {tiny_model}\ndata: {data}\nmethod: {{name: lora, rank: 4}}\n"
                        "train: {max_steps: 4, batch_size: 4}\nevaluate: {at_end: false}\n", "plain")
    worker.main([str(made.path)])
    found = evaluate("plain", objects={}, **SMALL).evaluation
    assert found.main_metric == "loss" and found.baseline == "base"
    assert [one.metric for one in found.differences] == ["loss", "perplexity"]
    assert found.verdict.sentence


@pytest.mark.parametrize(("options", "sentence"), [
    ({"recipe": "train: {epochs: 3}"}, "`train` is about the training, which is over"),
    ({"recipe": "report: {contender: [base]}"}, "Did you mean `contenders`?"),
    ({"gates": ["exact_mach >= 0.8"]}, "exact_mach"),
    ({"evaluate": {"metrics": ["exact_mach"]}}, "Did you mean `exact_match`?"),
    ({"report": {"contenders": ["bsae"]}}, "There is no run 'bsae'"),
    ({"report": {"slices": ["contry"]}}, "`contry`, which is no column of the data"),
])
def test_what_cannot_be_evaluated_is_said_before_a_model_is_asked(run, here, options, sentence):
    with pytest.raises(UserError) as caught:
        evaluate(run.name, objects={}, **options)
    assert sentence in str(caught.value) and "\n" not in str(caught.value)
    assert here == []


def test_the_words_that_moved_an_answer_are_told(run, here):
    evaluated = evaluate(run.name, objects={}, **SMALL)
    row = evaluated.evaluation.rows[0]
    table = evaluated.explain(row.row)
    assert set(table["word"]) <= set(row.prompt.split()) and len(table) == len(row.prompt.split())
    assert (table["moved"].abs().diff().dropna() <= 0).all() and (table["moved"] != 0).any()
    with pytest.raises(UserError, match="there is no row 100000"):
        evaluated.explain(100000)


def test_what_people_said_counts_in_the_next_evaluation_and_its_gates(run, here):
    gated = SMALL | {"gates": ["win_rate >= 0.6"]}
    first = evaluate(run.name, objects={}, **gated)
    assert [gate.passed for gate in first.evaluation.gates] == [False], "nobody was asked"
    review = first.review(contenders=("tuned", "few-shot"), reviewer="ana")
    while (item := review.next()) is not None:
        review.say(item, "left" if review.queue.sides(item.id, "ana")[0] == "tuned" else "right")
    pairs = review.summary().judged
    here.clear()
    again = evaluate(run.name, objects={}, **gated)
    assert here == ["loading the model", "looking for the best few-shot prompt"], "no model is asked for that"
    kept = Evaluation.from_json(again.path.read_bytes())
    assert [(one.by, one.contender, one.wins, one.losses) for one in kept.preferences] == [("people", "few-shot", pairs, 0)]
    assert pairs > 0 and [gate.passed for gate in kept.gates] == [True]
    assert first.evaluation.preferences == kept.preferences, "nor for the one that was reviewed"


def test_the_process_answers_and_ends(run):
    stages = []
    evaluated = evaluate(run.name, objects={}, told=lambda stage, done, total: stages.append(stage), **SMALL)
    assert evaluated.evaluation.run_id == run.id
    assert stages[0] == "loading the model" and stages[-1] == "figures and tests"


def test_a_process_that_is_killed_says_what_is_kept(run, monkeypatch):
    def told(stage, done, total):
        children = [int(name) for name in os.listdir("/proc") if name.isdigit() and _is_evaluator(int(name))]
        for child in children:
            os.kill(child, signal.SIGKILL)

    if not Path("/proc").is_dir():
        pytest.skip("finds the process by /proc")
    with pytest.raises(RunError) as caught:
        evaluate(run.name, objects={}, told=told, **SMALL)
    assert "What was answered is kept: evaluate again to go on." in str(caught.value)


def test_an_interrupt_ends_the_process(run):
    def told(stage, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(run.name, objects={}, told=told, **SMALL)
    assert not any(_is_evaluator(int(name)) for name in os.listdir("/proc") if name.isdigit())


def _is_evaluator(process: int) -> bool:
    """Whether it is a child of ours that evaluates."""
    try:
        command = Path(f"/proc/{process}/cmdline").read_bytes()
        parent = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return False
    return b"ft_notebook.train.evaluator" in command and parent == os.getpid()


def test_what_the_closing_report_asked_is_not_asked_again(tiny_model, here):
    closed = small_runs.make(tiny_model, at_end="true")
    worker.main([str(closed.path)])
    assert closed.state() == "finished", closed.error()
    evaluate(closed.id, objects={}, report={"contenders": ["base"], "hard": False, "forgetting": False},
             evaluate={"bootstrap": 100})
    assert here == ["loading the model", "training examples"]
