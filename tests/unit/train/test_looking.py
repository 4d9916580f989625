"""A run's data is looked over before its first step: what blocks ends it there, the rest is said once."""

from __future__ import annotations

import json

import pytest
import runs
from small_runs import of, states

from ft_notebook.events import MessageEvent, StepEvent
from ft_notebook.train import looking, worker

RECIPE = """\
model: {model}
data: {{source: {rows}}}
method: {{name: lora, rank: 2}}
train: {{max_steps: 2, batch_size: 4}}
evaluate: {{at_end: false, samples: 0}}
{more}
"""


@pytest.fixture
def train(tiny_model, tmp_path):
    def train(given, more=""):
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps({"prompt": prompt, "completion": answer}) + "\n" for prompt, answer in given))
        run = runs.new_run(RECIPE.format(model=tiny_model, rows=path, more=more), "test")
        worker.main([str(run.path)])
        return run
    return train


def rows(count=40):
    topics = ["rivers", "stars", "bread", "a brown dog", "the red house"]
    return [(f"Tell me of {topics[n % 5]}, chapter {n}: {'very ' * (n % 3)}briefly", topics[n % 5]) for n in range(count)]


def said(run):
    return [event for event in of(run, MessageEvent) if event.code == looking.CODE]


def test_what_blocks_ends_the_run_before_a_step_and_names_the_rows(train):
    given = [*rows(), ("What else?", "a cat")]
    run = train(given, "expect: {labels: [rivers, stars, bread, a brown dog, the red house]}")
    assert run.state() == "failed" and not of(run, StepEvent)
    error = run.error()
    assert error.kind == "DataError" and "row 41" in error.text and "accept: [expected-format]" in error.text


def test_an_accepted_finding_is_listed_and_trained_on(train):
    given = [*rows(), ("What else?", "a cat")]
    run = train(given, "expect: {labels: [rivers, stars, bread, a brown dog, the red house], accept: [expected-format]}")
    assert run.state() == "finished", run.error()
    [message] = said(run)
    assert "row 41" in message.text and message.level == "warning" and "%inspect" in message.text


def test_findings_are_said_once_also_when_the_run_is_started_again(train, monkeypatch):
    given = [*rows(), ("My card is 4242 4242 4242 4242, bread please", "bread")]
    run = train(given)
    assert run.state() == "finished", run.error()
    assert len(said(run)) == 1 and "personal data" in said(run)[0].text
    worker.main([str(run.path)])
    assert len(said(run)) == 1 and states(run)[-1] == "finished"


def test_of_many_rows_a_part_is_looked_at_and_that_is_said(train, monkeypatch):
    monkeypatch.setattr(looking, "MOST_LOOKED_AT", 20)
    given = [("My card is 4242 4242 4242 4242, bread please " + str(n), "bread") for n in range(41)]
    [message] = said(train(given))
    assert "Looked at 17 of 33 rows" in message.text
