"""What a run leaves in the notebook: which MIME types, how large, and that it needs nothing else."""

import base64
import json
import re
import sys
from pathlib import Path

import nbformat
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

import told_runs
from hostile import HOSTILE

from ft_notebook.notebook.bundle import RUN_MIME, final_bundle

NOW = told_runs.START + 2000


def long_run():
    prompts = [(f"prompt {n} " + "about a ticket " * 20, "reference " * 20,
                [f"answer {n} {turn} " + "of many words " * 20 for turn in range(10)]) for n in range(3)]
    told = told_runs.finished(1000, evaluated=20)
    full = told_runs.report(improved=told_runs.report().improved * 2, worsened=told_runs.report().improved * 2)
    return told_runs.facts(
        told_runs.plan(1000), *told_runs.steps(1000, 1000), *told_runs.evaluations(20, 1000),
        *told_runs.samples([round(111 * turn) for turn in range(10)], prompts), told_runs.OVERFITTING,
        told_runs.state("finished", 1000), report=full, recipe_text=told.recipe_text, advice=told.advice)


def test_the_bundle_holds_own_type_page_picture_and_text():
    bundle = final_bundle(told_runs.finished(), now=NOW)
    assert set(bundle) == {RUN_MIME, "text/html", "image/png", "text/plain"}
    state = bundle[RUN_MIME]["state"]
    assert bundle[RUN_MIME]["run_id"] == state["run"]["id"] and state["state"] == "finished"
    assert state["report"]["verdict"] in bundle["text/html"] and state["report"]["verdict"] in bundle["text/plain"]
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert json.loads(json.dumps(bundle)) == bundle


@pytest.mark.parametrize("told", [told_runs.finished, told_runs.failed, told_runs.cut_off, told_runs.queued,
                                  told_runs.training])
def test_every_state_of_a_run_leaves_a_bundle(told):
    facts = told()
    bundle = final_bundle(facts, now=NOW)
    assert facts.view.state in bundle["text/html"] and bundle[RUN_MIME]["state"]["state"] == facts.view.state


def test_the_bundle_of_a_thousand_steps_is_below_120_kb():
    assert len(json.dumps(final_bundle(long_run(), now=NOW))) < 120_000


def test_a_notebook_with_the_bundle_of_a_thousand_steps_is_below_300_kb(tmp_path):
    output = nbformat.v4.new_output("display_data", data=final_bundle(long_run(), now=NOW))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("%%finetune triage", outputs=[output])])
    nbformat.write(notebook, tmp_path / "saved.ipynb")
    assert (tmp_path / "saved.ipynb").stat().st_size < 300_000


def test_the_page_of_the_bundle_holds_no_script_and_asks_no_other_place_for_anything():
    page = final_bundle(told_runs.finished(), now=NOW)["text/html"]
    assert "<script" not in page and "url(" not in page and "@import" not in page
    assert all(source.startswith("data:image/svg+xml;base64,") for source in re.findall(r'src="([^"]*)', page))
    assert "ftn-live" not in page       # the live view's style stays with the live view


@pytest.mark.parametrize("text", HOSTILE[::10])
def test_a_picture_can_be_made_of_any_text(text):
    from dataclasses import replace

    facts = replace(told_runs.failed(), name=text)
    facts.view.error = facts.view.error.model_copy(update={"kind": text, "text": text})
    bundle = final_bundle(facts, now=NOW)
    assert len(base64.b64decode(bundle["image/png"])) < 40_000
    assert not set(bundle["text/plain"]) & set("\x1b\u202e\x00\u200b")
