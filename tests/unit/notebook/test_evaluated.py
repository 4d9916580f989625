"""What an evaluation gains after it was made: what people say of its answers, and the training examples it names."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[2] / "crash"))

import runs
from answered import answered

from ft_notebook.data.examples import example_from_json
from ft_notebook.evaluate.evaluation import Evaluation, Figure, Preference
from ft_notebook.notebook.dashboard import nearest
from ft_notebook.notebook.dashboard.dashboard import Dashboard
from ft_notebook.notebook.dashboard.nearest import TrainingRow, nearest_rows
from ft_notebook.notebook.evaluated import Evaluated
from ft_notebook.store.run_folder import RunFolder

JUDGE = Preference(contender="few-shot", by="judge-7b", wins=1, losses=2, ties=0, win_rate=0.3, low=None, high=None,
                   p_value=1.0, agreement=None)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Conversations of two turns, the first of which is the same for all."""
    rows = [{"messages": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "ask"},
                          {"role": "user", "content": f"question {at}"},
                          {"role": "assistant", "content": f"answer {at}"}]} for at in range(1, 41)]
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return runs.new_run(f"model: smollm2-135m\ndata: {{source: {data}, heldout: 0.15}}\n", "triage")


def evaluated(run: RunFolder, **changes: str) -> Evaluated:
    """On the held-out examples; changes: by prompt, another answer of the tuned model."""
    asked = [example_from_json(line) for line in run.heldout_lines()]
    prompts = [row.prompt_messages[-1].content for row in asked]
    made = answered([(prompt, changes.get(prompt, f"tuned {prompt}"), f"other {prompt}") for prompt in prompts])
    rows = [row.model_copy(update={"id": each.id, "row": each.row}) for row, each in zip(made.rows, asked, strict=True)]
    return Evaluated(made.model_copy(update={"rows": rows, "preferences": [JUDGE]}), run.path / "evaluations/1.json")


def prefer(made: Evaluated, contender: str, *, pairs: int = 6, reviewer: str = "ana", **review) -> None:
    queue = made.review(reviewer=reviewer, **review)
    for _ in range(pairs):
        item = queue.next()
        queue.say(item, "left" if dict(item.texts)["left"].startswith(contender) else "right")


def people(evaluation: Evaluation) -> list[tuple[str, str, int, int]]:
    return [(each.by, each.contender, each.wins, each.losses) for each in evaluation.preferences if each != JUDGE]


def test_what_reviewers_say_is_in_the_evaluation_at_once_and_in_front_of_the_judge(run):
    made = evaluated(run)
    assert made.evaluation.preferences == [JUDGE]
    prefer(made, "tuned", pairs=4)
    assert people(made.evaluation) == [("people", "few-shot", 4, 0)] and made.evaluation.preferences[1] == JUDGE
    prefer(made, "other", pairs=4, reviewer="bo")
    (found, _) = made.evaluation.preferences
    assert (found.wins, found.losses, found.ties, found.agreement) == (0, 0, 4, 0.0), "each pair has one vote each way"
    made.review(reviewer="bo").undo()
    assert people(made.evaluation) == [("people", "few-shot", 1, 0)], "what was taken back counts no more"


def test_every_form_of_a_report_shows_what_people_prefer(run):
    made = evaluated(run)
    prefer(made, "tuned")
    for text in (made.markdown(), made.html(), json.dumps(made.to_dict())):
        assert "people" in text
    state = Dashboard(made.evaluation).state
    assert any("people" in cell for row in state["tables"]["preferences"]["rows"] for cell in row)


def test_a_verdict_counts_only_for_answers_that_are_still_the_same(run):
    made = evaluated(run)
    prefer(made, "tuned")
    prompts = [row.prompt for row in made.evaluation.rows]
    assert people(evaluated(run).evaluation) == [("people", "few-shot", 6, 0)]
    assert people(evaluated(run, **{prompts[0]: "tuned otherwise"}).evaluation) == [("people", "few-shot", 5, 0)]
    assert evaluated(run, **dict.fromkeys(prompts, "tuned otherwise")).evaluation.preferences == [JUDGE]


def test_what_an_evaluation_was_kept_with_gives_way_to_what_is_said_now(run):
    before = JUDGE.model_copy(update={"by": "people", "wins": 99})
    made = evaluated(run)
    stale = Evaluated(made.evaluation.model_copy(update={"preferences": [before, JUDGE]}), made.path)
    assert stale.evaluation.preferences == [before, JUDGE], "nobody has said anything else"
    prefer(made, "tuned")
    assert people(stale.evaluation) == [("people", "few-shot", 6, 0)]


def test_wins_are_the_tuned_models_whichever_contender_was_named_first(run):
    made = evaluated(run)
    prefer(made, "tuned", pairs=5, contenders=("few-shot", "tuned"))
    assert people(made.evaluation) == [("people", "few-shot", 5, 0)]
    prefer(made, "other", contenders=("few-shot", "base"))
    assert people(made.evaluation) == [("people", "few-shot", 5, 0)], "of the tuned model nothing was said there"


def test_another_question_is_an_entry_of_its_own_that_names_its_rubric(run):
    made = evaluated(run)
    prefer(made, "other", rubric={"name": "brevity", "question": "Which is shorter?"})
    prefer(made, "tuned")
    assert people(made.evaluation) == [("people", "few-shot", 6, 0), ("people (brevity)", "few-shot", 0, 6)]


def test_a_file_that_is_no_review_is_left_alone(run):
    made = evaluated(run)
    (run.path / "reviews").mkdir()
    for name, text in (("junk", "{"), ("list", "[1]\n"), ("old", '{"contenders": ["tuned"], "rubric": {}}\n')):
        (run.path / "reviews" / f"pairs-{name}.jsonl").write_text(text)
    assert made.evaluation.preferences == [JUDGE]
    prefer(made, "tuned")
    assert people(made.evaluation) == [("people", "few-shot", 6, 0)]


def wrong(run: RunFolder) -> tuple[Evaluated, list[int]]:
    """An evaluation whose first row is answered wrongly and names two training examples."""
    made = evaluated(run)
    near = [example_from_json(line).row for line in run.train_lines()][3:5]
    first, *others = made.evaluation.rows
    missed = first.model_copy(update={"nearest": near, "answers": {
        name: answer.model_copy(update={"score": 0.0}) for name, answer in first.answers.items()}})
    figure = Figure(metric="exact_match", value=0.0, low=None, high=None)
    contenders = [each.model_copy(update={"figures": [figure]}) for each in made.evaluation.contenders]
    changed = {"rows": [missed, *others], "contenders": contenders}
    return Evaluated(made.evaluation.model_copy(update=changed), made.path), near


def test_training_examples_are_read_from_the_run_with_all_that_was_asked_and_the_target(run):
    made, near = wrong(run)
    found = nearest_rows(made.evaluation, run.train_lines())
    assert found == {row: TrainingRow(f"user: hello\n\nassistant: ask\n\nuser: question {row}", f"answer {row}") for row in near}
    page = made.html()
    assert page.count(f"answer {near[0]}") == 2, "in the card, and in what the script is handed"
    assert f"<li>Training row {near[0]}: user: hello ↵ assistant: ask ↵ user: question {near[0]} → answer {near[0]}</li>" in page


def test_only_so_much_of_the_training_examples_is_handed_over(run, monkeypatch):
    made, near = wrong(run)
    monkeypatch.setattr(nearest, "LONGEST", 12)
    found = nearest_rows(made.evaluation, run.train_lines())
    assert found[near[0]].prompt.startswith("user: hello\n…") and found[near[0]].target == f"answer {near[0]}"
    monkeypatch.setattr(nearest, "MOST_CHARACTERS", sum(map(len, vars(found[near[0]]).values())) + 1)
    assert list(nearest_rows(made.evaluation, run.train_lines())) == near[:1]


def test_a_run_whose_data_were_changed_is_shown_without_them(run):
    made, near = wrong(run)
    prefer(made, "tuned")
    for name in ("train.jsonl", "heldout.jsonl"):
        with (run.path / "data" / name).open("a") as file:
            file.write("\n")
    assert made.evaluation.preferences == [JUDGE]
    made._ipython_display_()
    assert f"answer {near[0]}" not in made.html() and f"rows {near[0]}, {near[1]}" in made.html()
