"""What the magics say: help, completion, errors, plans. Through a real kernel."""

import pytest


def test_help_holds_the_options_and_the_recipes_documentation(kernel):
    text = kernel.inspect("%%finetune?")
    assert "--dry-run" in text and "learning_rate" in text and "Peak learning rate." in text


@pytest.mark.parametrize(("cell", "words"), [
    ("%%finetune triage\ndata: rows.jsonl\ntrain: {learing_rate: 1}", "Did you mean `learning_rate`?"),
    ("%%finetune ../x\ndata: rows.jsonl", "cannot be the name of a run"),
    ("%%finetune triage\ndata: nothere.jsonl", "nothere.jsonl"),
    ("%%finetune triage --wiat\ndata: rows.jsonl", "--wiat"),
    ("%%finetune 'triage\ndata: rows.jsonl", "no closing quotation"),
    ("%%finetune triage --to x.txt\ndata: rows.jsonl", "`.yaml`"),
    ("%attach nobody", "nobody"),
])
def test_what_the_user_can_put_right_is_one_line_without_a_traceback(kernel, store, cell, words):
    reply = kernel.run(cell)
    assert reply.status == "error" and not reply.error
    assert words in reply.stderr and reply.stderr.count("\n") == 1
    assert store.list() == []


def test_a_dry_run_shows_the_plan_and_leaves_no_run(kernel, store, recipe_text):
    reply = kernel.run(f"%%finetune triage --dry-run\n{recipe_text}")
    shown = reply.displays[0]["data"]
    for words in ("trained", "trainable parameters", "expected", "disk"):
        assert words in shown["text/plain"] and words in shown["text/html"]
    assert store.list() == []


def test_to_writes_a_recipe_that_loads_the_same_run(kernel, store, folder, recipe_text):
    kernel.run(f"%%finetune triage --wait --to again.yaml\n{recipe_text}")
    kernel.run("import ft_notebook; ft_notebook.finetune('again.yaml', name='triage')")
    assert len(store.list()) == 1


def test_data_of_the_notebook_is_used_by_its_name(kernel, store):
    kernel.run("import pandas; frame = pandas.DataFrame({'prompt': list('abcdef'), 'completion': list('uvwxyz')})")
    reply = kernel.run("%%finetune triage --wait\ndata: frame\ntrain: {max_steps: 3}")
    assert reply.status == "ok", reply.stderr
    assert store.find("triage").recipe().data.source == "frame"
    kernel.run("import ft_notebook; ft_notebook.finetune(data=frame, train={'max_steps': 3}, name='triage', wait=True)")
    assert len(store.list()) == 1
    assert "called `frame`" in kernel.run("%%finetune frame\ndata: frame").stderr


def test_runs_and_attach(kernel, recipe_text):
    assert "No runs" in kernel.run("%runs").displays[0]["data"]["text/plain"]
    kernel.run(f"%%finetune my-run --wait\n{recipe_text}")
    assert "my-run" in kernel.run("%runs").displays[0]["data"]["text/plain"]
    kernel.run("del my_run")
    assert "finished" in kernel.run("%attach my-run").displays[0]["data"]["text/plain"]
    assert kernel.run("my_run.name").text == "'my-run'"


def test_tab_completes_options_keys_values_and_the_notebooks_data(kernel):
    kernel.run("rows_here = [{'text': 'a'}]")
    assert "--dry-run" in kernel.complete("%%finetune triage --d")["matches"]
    answer = kernel.complete("%%finetune triage\ndata: rows.jsonl\ntrain: {epochs: 1, learning_")
    assert answer["matches"] == ["learning_rate"]
    assert "lora" in kernel.complete("%%finetune triage\nmethod: l")["matches"]
    found = kernel.complete("%%finetune triage\ndata: rows")["matches"]
    assert {"rows_here", "rows.jsonl"} <= set(found)


def test_completion_elsewhere_is_left_alone(kernel):
    kernel.run("some_variable = 1")
    assert "some_variable" in kernel.complete("x = some_var")["matches"]


def test_a_worker_that_dies_at_once_is_told_with_the_end_of_its_output(kernel, store):
    reply = kernel.run("%%finetune die --wait\ndata: rows.jsonl")
    assert reply.status == "error" and "ended before it began" in reply.stderr
    shown = kernel.run("die").displays[0]["data"]
    assert "something about the import" in shown["text/plain"] and "something about the import" in shown["text/html"]
    kernel.run("%%finetune die --wait\ndata: rows.jsonl")
    assert len(store.list()) == 2


def test_a_failing_call_of_the_library_shows_no_page_of_traceback(kernel):
    reply = kernel.run("import ft_notebook; ft_notebook.load_run('nobody')")
    assert reply.status == "error" and reply.error.count("\n") == 0
    assert reply.error.startswith("RunNotFoundError: There is no run 'nobody'")
