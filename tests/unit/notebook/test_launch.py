"""From a recipe to a run: what is read, and whether a run is started, joined, resumed or loaded."""

import pytest

from ft_notebook.errors import RecipeError, UserError
from ft_notebook.events import StateEvent
from ft_notebook.notebook import launch
from ft_notebook.notebook.launch import finetune, plan, read_order
from ft_notebook.recipe.parse import parse_recipe
from ft_notebook.recipe.schema import Recipe
from ft_notebook.store.runs import RunStore
from ft_notebook.train import supervise

ROWS = [{"prompt": f"question {index}", "completion": f"answer {index}"} for index in range(20)]


@pytest.fixture
def started(monkeypatch):
    """Starts nothing; remembers what would have been started."""
    calls = []
    monkeypatch.setattr(supervise, "start", lambda run, *, mode: calls.append((run.id, mode)) or 0)
    return calls


def finish(run, *states):
    with run.folder.worker_lock(), run.folder.open_log() as log:
        for state in states:
            log.append(StateEvent(state=state))


def test_a_text_a_file_a_mapping_and_keywords_give_the_same_recipe(tmp_path):
    text = "data: rows.jsonl\ntrain: {epochs: 2}\n"
    (tmp_path / "recipe.yaml").write_text(text)
    orders = [read_order(text, objects={}), read_order(tmp_path / "recipe.yaml", objects={}),
              read_order(str(tmp_path / "recipe.yaml"), objects={}),
              read_order({"data": "rows.jsonl", "train": {"epochs": 2}}, objects={}),
              read_order(data="rows.jsonl", sections={"train": {"epochs": 2}}, objects={}),
              read_order("train: {epochs: 2}", data="rows.jsonl", objects={}),
              read_order(Recipe(data={"source": "rows.jsonl"}), sections={"train": {"epochs": 2}}, objects={})]
    assert {order.recipe.digest() for order in orders} == {parse_recipe(text).digest()}


def test_keywords_go_over_a_recipe_field_by_field():
    text = "data: {source: rows.jsonl, heldout: 0.5}\nmethod: lora\ntrain: {epochs: 2, batch_size: 4}"
    over = {"train": {"epochs": 1}, "method": {"rank": 4}}
    recipe = read_order(text, sections=over, data="other.jsonl", objects={}).recipe
    assert (recipe.train.epochs, recipe.train.batch_size) == (1, 4)
    assert (recipe.method.name, recipe.method.rank) == ("lora", 4)
    assert (recipe.data.source, recipe.data.heldout) == ("other.jsonl", 0.5)


def test_an_object_is_called_by_the_variable_that_holds_it():
    rows = list(ROWS)
    order = read_order(data=rows, objects={"_": rows, "tickets": rows, "other": 1})
    assert order.recipe.data.source == "tickets" and order.objects["tickets"] is rows
    assert read_order(data=list(ROWS), objects={}).recipe.data.source == "data"


def test_a_name_that_does_not_exist_is_refused_with_its_line():
    with pytest.raises(RecipeError, match=r"line 2.*qlora") as caught:
        read_order("data: rows.jsonl\nmethod: qlra", objects={})
    assert caught.value.line == 2


def test_a_recipe_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(RecipeError, match=r"nothere\.yaml"):
        read_order(tmp_path / "nothere.yaml", objects={})


def test_the_first_run_is_started_and_holds_its_data(started):
    run = finetune(data=ROWS, name="triage", method="lora")
    assert started == [(run.id, "train")]
    assert len(list(run.folder.train_lines())) + len(list(run.folder.heldout_lines())) == 20
    assert "method:" in (run.folder.path / "recipe.yaml").read_text()


@pytest.mark.parametrize(("states", "mode", "words"), [
    (["finished"], None, "Loaded the finished run"),
    (["stopped"], None, "resume()"),
    (["training"], "resume", "Resumed"),
])
def test_the_same_recipe_and_data_use_the_run_that_is_there(started, states, mode, words):
    first = finetune(data=ROWS, name="triage")
    finish(first, *states)
    started.clear()
    second = finetune(data=ROWS, name="triage")
    assert second.id == first.id and words in second.notice
    assert started == ([(first.id, mode)] if mode else [])


def test_a_run_that_lives_is_joined(started):
    first = finetune(data=ROWS, name="triage")
    finish(first, "training")
    started.clear()
    with first.folder.worker_lock():
        second = finetune(data=ROWS, name="triage")
    assert second.id == first.id and "Joined" in second.notice and started == []


def test_a_failed_run_is_trained_anew(started):
    first = finetune(data=ROWS, name="triage")
    finish(first, "failed")
    assert finetune(data=ROWS, name="triage").id != first.id


@pytest.mark.parametrize("change", [{"again": True}, {"name": "other"}, {"train": {"epochs": 1}}, {"data": ROWS[:-1]}])
def test_anything_else_is_a_new_run(started, change):
    first = finetune(data=ROWS, name="triage")
    finish(first, "finished")
    assert finetune(**{"data": ROWS, "name": "triage", **change}).id != first.id
    assert len(started) == 2


def test_another_run_of_the_name_that_still_trains_is_told(started):
    first = finetune(data=ROWS, name="triage")
    assert first.id in finetune(data=ROWS, name="triage", again=True).notice


@pytest.mark.parametrize("name", ["../x", "C:\\x", "~", "a" * 300, ""])
def test_a_name_that_is_no_name_is_refused_before_anything_is_read(started, name):
    with pytest.raises(UserError, match="name of a run"):
        finetune(data=ROWS, name=name)
    assert started == [] and RunStore().list() == []


def test_a_plan_leaves_nothing_behind(fake_worker):
    assert plan(read_order(data=ROWS, objects={})).train_examples == 16
    assert RunStore().list() == []


def test_a_recipe_that_is_written_gives_the_same_run_again(started, tmp_path):
    run = finetune(data=ROWS, name="triage", train={"epochs": 2})
    launch.write_recipe(run.recipe, tmp_path / "r.yaml", name="triage")
    assert read_order(tmp_path / "r.yaml", objects={}).recipe.digest() == run.recipe.digest()
    launch.write_recipe(run.recipe, tmp_path / "r.py", name="triage")
    compile((tmp_path / "r.py").read_text(), "r.py", "exec")
    with pytest.raises(UserError, match=r"`\.yaml`"):
        launch.write_recipe(run.recipe, tmp_path / "r.txt", name="triage")
