"""A run on preference data trains on the chosen answers, and its plan says so."""

from __future__ import annotations

import json

import runs

from ft_notebook.data.preferences import CHOSEN_IS_TRAINED
from ft_notebook.train.setting import prepare_setting


def test_the_plan_of_a_run_on_preferences_says_which_answers_are_trained(tiny_model, tmp_path):
    def plan_on(**columns: str):
        data = tmp_path / "rows.jsonl"
        rows = [{"prompt": f"question {at}", **{name: f"{text} {at}" for name, text in columns.items()}} for at in range(12)]
        data.write_text("".join(json.dumps(row) + "\n" for row in rows))
        run = runs.new_run(f"model: {tiny_model}\ndata: {data}\ntrain: {{max_steps: 1}}\n", "preferred")
        setting = prepare_setting(run, say=lambda sentence: None)
        return setting, list(run.train_lines())

    setting, lines = plan_on(chosen="good", rejected="bad")
    assert setting.plan.notes.count(CHOSEN_IS_TRAINED) == 1
    assert all("good" in line and "bad" not in line for line in lines)
    setting, _ = plan_on(completion="good")
    assert CHOSEN_IS_TRAINED not in setting.plan.notes
