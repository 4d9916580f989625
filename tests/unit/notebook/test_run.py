"""The run object: what it tells, and what its methods ask of the worker."""

import json
import time

import pytest

from ft_notebook.errors import RunError, RunNotFoundError, UserError
from ft_notebook.events import EvaluationEvent, ResumeEvent, SampleEvent, StateEvent, StepEvent
from ft_notebook.notebook.run import Run, load_run, runs
from ft_notebook.recipe.schema import Recipe
from ft_notebook.store.runs import RunStore
from ft_notebook.views.facts import variable_of


@pytest.fixture
def run(own_store):
    return Run(RunStore().create(Recipe(data={"source": "rows"}), name="triage", recipe_text="data: rows\n",
                                 train_lines=["{}"], heldout_lines=[], data_digest="d", data_report={}, versions={}))


def say(run, *events):
    with run.folder.worker_lock(), run.folder.open_log() as log:
        for event in events:
            log.append(event)


def step(number):
    return StepEvent(step=number, steps=9, epoch=number / 3, loss=1 / number, learning_rate=1e-4, grad_norm=1.0,
                     tokens=20, trained_tokens=5, step_s=0.1, tokens_per_s=200.0, example_ids=[])


def asked(run):
    return [request.kind for request in run.folder.take_requests()]


def test_history_holds_every_step_once_after_a_resume(run):
    say(run, step(1), step(2), step(3), ResumeEvent(from_step=1), step(2), step(3), step(4))
    assert list(run.history.step) == [1, 2, 3, 4]
    assert list(run.history.columns[:5]) == ["step", "epoch", "loss", "learning_rate", "grad_norm"]
    assert run.history.tokens_per_s.iloc[0] == 200.0


def test_tables_have_their_columns_before_there_is_a_row(run):
    assert "loss" in run.history.columns and "perplexity" in run.evaluations.columns
    assert "answer" in run.samples.columns and len(run.samples) == 0


def test_evaluations_and_samples_are_tables(run):
    say(run, EvaluationEvent(step=0, loss=3.0, perplexity=20.0, trained_tokens=9, is_best=True, duration_s=0.1),
        SampleEvent(step=0, prompt_index=0, prompt="p", reference="r", answer="a"))
    assert run.evaluations.perplexity.tolist() == [20.0] and run.samples.answer.tolist() == ["a"]


def test_the_plot_tells_losses_apart_without_colour(run):
    say(run, step(1), step(2),
        EvaluationEvent(step=2, loss=0.9, perplexity=2.0, trained_tokens=9, is_best=True, duration_s=0.1))
    raw, smoothed, heldout, *_ = run.plot().data
    assert list(raw.y) == [1.0, 0.5] and smoothed.y[0] == 1.0 and smoothed.y[1] != 0.5
    assert heldout.line.dash == "dash" and heldout.marker.symbol == "square"
    assert run.plot().layout.paper_bgcolor == "rgba(0,0,0,0)"
    shown = run.plot()._repr_mimebundle_()
    assert shown["application/vnd.plotly.v1+json"]["data"][0]["name"] == "train"
    assert "data:image/svg+xml" in shown["text/html"] and "Train loss from" in shown["text/plain"]   # a page without plotly


def test_requests_reach_a_run_that_lives(run):
    say(run, StateEvent(state="training"))
    with run.folder.worker_lock():
        run.pause(), run.checkpoint(), run.resume(), run.stop()
        assert asked(run) == ["pause", "checkpoint", "resume", "stop"]


@pytest.mark.parametrize("state", ["finished", "stopped", "failed"])
def test_a_run_that_is_over_says_so_in_one_sentence(run, state):
    say(run, StateEvent(state=state))
    assert str(run.stop()) == f"triage is {state}; there is nothing to stop."
    for wish in (run.pause, run.checkpoint):
        with pytest.raises(UserError, match=f"triage is {state}"):
            wish()
    assert asked(run) == []


def test_what_cannot_be_resumed_is_refused(run):
    say(run, StateEvent(state="finished"))
    with pytest.raises(UserError, match="nothing to resume"):
        run.resume()
    say(run, StateEvent(state="failed"))
    with pytest.raises(UserError, match="before its first checkpoint"):
        run.resume()


def test_a_stopped_run_goes_on_from_its_checkpoint(run, fake_worker):
    from ft_notebook.store import checkpoints

    staged = run.folder.staging_path / "step"
    staged.mkdir(parents=True)
    (staged / "state.json").write_text("{}")
    checkpoints.commit(run.folder, staged, step=4)
    say(run, *map(step, range(1, 5)), StateEvent(state="stopped"))
    assert str(run.resume()) == "triage goes on from step 4."
    assert run.wait(timeout=60) == "finished"
    assert list(run.history.step) == list(range(1, 31))


def test_waiting_gives_up_after_its_time(run):
    say(run, StateEvent(state="training"))
    with run.folder.worker_lock():
        before = time.monotonic()
        assert run.wait(timeout=0.3) == "training"
        assert time.monotonic() - before < 5


def test_an_empty_prompt_is_refused(run):
    with pytest.raises(UserError, match="empty"):
        run.generate("")


def test_a_run_in_a_line_and_as_a_card(run):
    say(run, step(1), StateEvent(state="stopped"))
    assert repr(run).startswith("Run('triage', stopped, step 1 of 9") and "\n" not in repr(run)
    bundle = run._repr_mimebundle_()
    assert "triage.resume()" in bundle["text/html"] and "stopped" in bundle["text/plain"]


def test_runs_are_found_by_name_and_listed(run):
    assert load_run("triage").id == run.id and load_run(run.id).id == run.id
    with pytest.raises(RunNotFoundError, match="Did you mean `triage`"):
        load_run("triag")
    assert runs().name.tolist() == ["triage"]


@pytest.mark.parametrize(("name", "variable"), [("triage", "triage"), ("my-run.2", "my_run_2"), ("2nd", "run_2nd"),
                                               ("class", "class_")])
def test_every_name_of_a_run_makes_a_variable(name, variable):
    assert variable_of(name) == variable and variable.isidentifier()


def test_examples_are_being_prepared_until_the_worker_wrote_them(run):
    assert "being prepared" in repr(run.examples) and len(run.examples) == 0
    with pytest.raises(RunError, match="being prepared"):
        run.examples[0]


def test_an_example_shows_its_tokens_and_which_are_trained(run):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = {piece: index for index, piece in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab=alphabet, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    (run.folder.path / "tokenizer").mkdir()
    tokenizer.save(str(run.folder.path / "tokenizer" / "tokenizer.json"))
    ids = tokenizer.encode("a<b>é\u202e").ids
    line = {"id": "x", "row": 7, "split": "train", "input_ids": ids, "trained": [[1, 6]], "truncated": True}
    (run.folder.path / "encoded.jsonl").write_text(json.dumps(line) + "\n" + '{"half')
    assert len(run.examples) == 1
    example = run.examples[0]
    assert "".join(example.tokens) == "a<b>é\u202e"             # a character of several tokens is whole
    assert sum(example.is_trained) == 5 and not example.is_trained[0]
    assert "row 7" in repr(example) and "cut to fit" in repr(example) and "a⟦<b>é⟧⟨U+202E⟩" in repr(example)
    page = example._repr_mimebundle_()["text/html"]
    assert '<b class="ftn-tok">&lt;</b>' in page and "\u202e" not in page
    with pytest.raises(IndexError, match="has 1 examples"):
        run.examples[1]
    assert [each.row for each in run.examples] == [7] and run.examples[-1].id == "x"


def save(run, step):
    from ft_notebook.store import checkpoints

    staged = run.folder.staging_path / "step"
    staged.mkdir(parents=True)
    (staged / "state.json").write_text("{}")
    checkpoints.commit(run.folder, staged, step=step)


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_change_asks_only_for_what_was_given(run):
    say(run, StateEvent(state="training"))
    with run.folder.worker_lock():
        assert str(run.change(epochs=5)) == "Changing triage after the step at hand: 5 epochs."
        run.change(None, 90, 10)
        assert [request.values for request in run.folder.take_requests()] == [
            {"epochs": 5.0}, {"max_steps": 90, "evaluate_every": 10}]
        with pytest.raises(UserError, match="at least one"):
            run.change()


def test_a_run_that_is_over_can_be_discarded_and_answers_no_more(run):
    save(run, 4)
    say(run, step(4), StateEvent(state="stopped"))
    assert "is discarded" in run.stop(keep=False) and run.status == "discarded"
    assert not list(run.folder.path.glob("checkpoints/*")) and list(run.history.step) == [4]
    with pytest.raises(UserError, match="was discarded"):
        run.generate("Hello")


def test_a_cell_whose_run_was_discarded_trains_anew(fake_worker, rows_file):
    from ft_notebook.notebook.launch import finetune

    first = finetune(data=str(rows_file), name="triage", wait=True)
    again = finetune(data=str(rows_file), name="triage", again=True)
    again.stop(keep=False)
    assert again.wait(timeout=60) == "discarded"
    third = finetune(data=str(rows_file), name="triage", wait=True)
    assert third.id not in {first.id, again.id} and third.status == "finished"


def test_a_paused_run_answers_with_the_model_that_it_holds(fake_worker, rows_file, monkeypatch):
    from ft_notebook.notebook.launch import finetune

    monkeypatch.setenv("FT_FAKE_STEP_S", "0.1")
    run = finetune(data=str(rows_file), name="triage")
    run.pause()
    wait_for(lambda: run.status == "paused")
    at = run.folder.history()[-1].step
    assert run.generate("Hello") == f"paused at step {at}: Hello"
    run.resume()
    wait_for(lambda: run.status != "paused")
    run.change(max_steps=at + 5)
    assert run.wait(timeout=60) == "finished" and list(run.history.step)[-1] == at + 5


def test_the_command_line_has_the_same_hands(run, capsys):
    from ft_notebook.cli import main

    save(run, 4)
    say(run, step(4), StateEvent(state="training"))
    with run.folder.worker_lock():
        assert main(["change", "triage", "--epochs", "5", "--evaluate-every", "50"]) == 0
        assert "5 epochs, an evaluation every 50 steps" in capsys.readouterr().out
        assert main(["change", "triage"]) == 2 and main(["change", "triage", "--epochs", "nan"]) == 2
        assert main(["checkpoint", "triage"]) == 0 and main(["stop", "triage", "--discard"]) == 0
        assert main(["stop", "triage"]) == 0
        assert [(request.kind, request.values) for request in run.folder.take_requests()] == [
            ("change", {"epochs": 5.0, "evaluate_every": 50}), ("checkpoint", {}), ("stop", {"keep": False}),
            ("stop", {"keep": True})]
    assert main(["stop", "triage", "--discard"]) == 0 and run.status == "discarded"
    assert main(["resume", "triage"]) == 2 and "was discarded" in capsys.readouterr().err
