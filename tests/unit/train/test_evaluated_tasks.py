"""A task of lm-eval that the user wrote, from the recipe to the report; skipped without the extra `eval`."""

from __future__ import annotations

from pathlib import Path

import pytest
import small_runs
from own_task import write_questions, write_task

from ft_notebook.errors import UserError
from ft_notebook.notebook.evaluating import evaluate
from ft_notebook.store.run_folder import RunFolder
from ft_notebook.train import worker

SMALL = {"evaluate": {"bootstrap": 100, "max_new_tokens": 3}}


@pytest.fixture
def run(tiny_model: Path) -> RunFolder:
    pytest.importorskip("lm_eval")
    made = small_runs.make(tiny_model)
    worker.main([str(made.path)])
    assert made.state() == "finished", made.error()
    return made


def test_a_task_in_a_folder_of_one_s_own_is_in_the_report_with_an_interval(run: RunFolder, tmp_path: Path) -> None:
    folder = write_task(tmp_path / "tasks", "own_teams", write_questions(tmp_path / "teams.jsonl"))
    stages: list[str] = []
    report = {"contenders": ["base"], "hard": False, "tasks": ["own_teams"], "tasks_folder": str(folder)}
    found = evaluate(run.name, objects={}, told=lambda stage, done, total: stages.append(stage), report=report, **SMALL)
    assert found.evaluation.forgetting is not None
    task, = found.evaluation.forgetting.tasks
    assert (task.name, task.questions) == ("own_teams (acc)", 12)
    assert task.low is not None and task.high is not None and task.low <= task.difference <= task.high
    assert task.difference == pytest.approx(task.tuned - task.base) and 0 <= task.base <= 1
    assert "own_teams (acc)" in found.html() and "Other tasks" in found.markdown()
    assert "tasks of lm-eval" in stages


def test_a_task_whose_data_is_not_there_is_named_by_the_report(run: RunFolder, tmp_path: Path) -> None:
    folder = write_task(tmp_path / "tasks", "own_teams", tmp_path / "none.jsonl")
    with pytest.raises(UserError, match=r"could not ask `own_teams`.*a local file"):
        evaluate(run.name, objects={}, **SMALL, report={
            "contenders": ["base"], "hard": False, "tasks": ["own_teams"], "tasks_folder": str(folder)})
