"""Runs beside each other: what is compared, what must not be, and how it is said."""

import html
import json
import re
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parent))

import told_runs
from hostile import HOSTILE
from test_cards import Reader, beginning, drawings, elements, everywhere, make, read, say, texts

import ft_notebook
from ft_notebook.errors import RunNotFoundError, UserError
from ft_notebook.events import StateEvent
from ft_notebook.notebook.comparison import Compared, Comparison, compare
from ft_notebook.notebook.drawing.chart import MOST_POINTS, as_text, loss_figure
from ft_notebook.notebook.drawing.scales import ends
from ft_notebook.recipe.schema import Recipe
from ft_notebook.store.runs import RunStore
from ft_notebook.views import palette
from ft_notebook.views.text import visible

RECIPE = Recipe(data={"source": "tickets"})
FAST = Recipe(data={"source": "tickets"}, train={"learning_rate": 5e-3})


def beside(*runs, **changes):
    """A comparison of facts, all on the same data unless said."""
    return Comparison([Compared(facts.name, facts, **{"data": "d", "heldout": "h", **changes}) for facts in runs])


def named(facts, name, recipe=RECIPE):
    return replace(facts, name=name, recipe=recipe)


@pytest.fixture
def two():
    return beside(named(told_runs.finished(), "triage"), named(told_runs.failed(), "fast", FAST))


@pytest.fixture
def store(own_store):
    return RunStore()


def test_only_the_keys_of_the_recipe_that_differ_are_shown(two):
    assert two.differences == [("train.learning_rate", "0.0002", "0.005")]
    for words in (two.text(), read(two._repr_mimebundle_()["text/html"]).words):
        assert "train.learning_rate" in words and "batch_size" not in words


def test_equal_recipes_are_said_to_be_equal():
    same = beside(named(told_runs.finished(), "a"), named(told_runs.finished(), "b"))
    assert "The recipes are the same." in same.text()
    assert "The recipes are the same." in same._repr_mimebundle_()["text/html"]


def test_figures_stand_beside_each_other_with_intervals_and_gaps(two):
    figures = {name: values for name, *values in two.figures}
    assert figures["steps"] == ["240 of 240", "60 of 240"]
    assert figures["exact match, tuned"] == ["57.0 % (44.0 to 69.0)", "–"]
    assert figures["duration"] == ["4:00", "1:01"] and figures["memory at most"] == ["2.9 GB", "2.9 GB"]
    best = min(told_runs.evaluations(11, 240), key=lambda done: done.loss)
    assert figures["held-out loss, lowest"][0] == f"{best.loss:.3g} at step {best.step}"
    for words in (two.text(), read(two._repr_mimebundle_()["text/html"]).words):
        assert all(name in words for name in figures) and "57.0 % (44.0 to 69.0)" in words


def test_what_the_reports_say_is_said(two):
    assert two.verdicts == [f"triage: {told_runs.report().verdict}"]
    assert two.verdicts[0] in two.text() and two.verdicts[0] in two._repr_mimebundle_()["text/html"]


def test_figures_on_different_held_out_rows_are_said_not_to_be_comparable():
    runs = [Compared("a", named(told_runs.finished(), "a"), "d", "h1"), Compared("b", named(told_runs.finished(), "b"), "d", "h2")]
    comparison = Comparison(runs)
    sentence, = comparison.cautions
    assert "must not be compared" in sentence
    assert comparison.text().startswith("Caution:") and sentence in comparison._repr_mimebundle_()["text/html"]


def test_different_training_data_with_the_same_held_out_rows_is_said_and_not_forbidden():
    runs = [Compared("a", named(told_runs.finished(), "a"), "d1", "h"), Compared("b", named(told_runs.finished(), "b"), "d2", "h")]
    sentence, = Comparison(runs).cautions
    assert "different data" in sentence and "must not" not in sentence


def test_on_the_same_data_nothing_is_cautioned(two):
    assert two.cautions == []


def test_losses_over_other_tokens_are_said_not_to_compare():
    other = Recipe(data={"source": "tickets", "train_on": "all"}, model={"name": "other"})
    sentence, = beside(named(told_runs.finished(), "a"), named(told_runs.finished(), "b", other)).cautions
    assert "`model.name`" in sentence and "`data.train_on`" in sentence


def test_reports_over_a_different_number_of_rows_are_said():
    short = named(told_runs.finished(report=told_runs.report(answered_examples=20)), "b")
    sentence, = beside(named(told_runs.finished(), "a"), short).cautions
    assert "20 and 61 answered examples" in sentence


def test_runs_without_steps_or_report_and_living_ones_are_said_in_a_sentence_each():
    notes = beside(*(named(told(), name) for told, name in (
        (told_runs.finished, "done"), (told_runs.queued, "new"), (told_runs.training, "living"),
        (told_runs.failed, "broken")))).notes
    assert notes == ["new has no step, and so no curve.", "living is training: its figures are of step 179.",
                     "broken has no report: it is failed."]


def test_runs_without_any_step_are_compared_without_a_picture():
    empty = beside(named(told_runs.queued(), "a"), named(told_runs.queued(), "b", FAST))
    assert "<img" not in empty._repr_mimebundle_()["text/html"] and "train.learning_rate" in empty.text()


def test_curves_lie_over_one_another_each_with_its_name_colour_and_mark(two):
    figure = two.figure
    names = [trace.name for trace in figure.data]
    assert names == ["triage", "triage, held out", "fast", "fast, held out"]
    assert [figure.data[at].line.color for at in (0, 2)] == list(palette.RUNS[:2])
    assert figure.data[1].marker.symbol != figure.data[3].marker.symbol and figure.data[1].line.dash == "dash"
    assert {button.label for button in figure.layout.updatemenus[0].buttons} == {"linear", "log"}


def test_a_page_without_plotly_and_a_terminal_get_the_curves_too(two):
    bundle = two.figure._repr_mimebundle_()
    assert "data:image/svg+xml" in bundle["text/html"] and "triage: Train loss from" in bundle["text/plain"]
    assert "fast: Train loss from" in bundle["text/plain"]


def test_a_comparison_shows_tables_and_figure_as_two_outputs(two, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: shown.append(bundle))
    monkeypatch.setattr("ft_notebook.notebook.drawing.chart.display", lambda bundle, raw: shown.append(bundle))
    two._ipython_display_()
    tables, figure = shown
    assert "train.learning_rate" in tables["text/html"] and "<img" not in tables["text/html"]
    assert "application/vnd.plotly.v1+json" in figure


def test_runs_are_found_by_name_or_id(store):
    first, second = make(store, "one", recipe=RECIPE), make(store, "two", recipe=FAST)
    say(first, *told_runs.steps(5, 9)), say(second, *told_runs.steps(5, 9))
    comparison = ft_notebook.compare("one", second.id)
    assert repr(comparison) == "Comparison(one, two)" and comparison.differences


def test_two_runs_of_one_name_are_told_apart_by_their_ids(store):
    runs = [make(store, "one", recipe=RECIPE), make(store, "one", recipe=FAST)]
    assert {run.label for run in compare(*(run.id for run in runs)).runs} == {run.id for run in runs}


def test_held_out_rows_are_compared_by_their_content(store):
    make(store, "one", heldout_lines=['{"a": 1}']), make(store, "two", heldout_lines=['{"a": 1}'])
    make(store, "three", heldout_lines=['{"a": 2}'])
    same, other = (store.find(name) for name in ("two", "three"))
    for folder in (same, other, store.find("one")):
        say(folder, told_runs.evaluation(0, 3.0))
    assert compare("one", "two").cautions == []
    assert "must not be compared" in compare("one", "three").cautions[0]


@pytest.mark.parametrize(("names", "words"), [
    ((), "two runs or more"), (("one",), "%attach one"), (("one", "one"), "is the same run as"),
    (tuple("abcdefghijklm"), "At most 12")])
def test_what_cannot_be_compared_is_said_in_one_sentence(store, names, words):
    make(store, "one")
    with pytest.raises(UserError, match=words) as raised:
        compare(*names)
    assert "\n" not in str(raised.value)


@pytest.fixture
def magic(monkeypatch):
    from IPython.core.interactiveshell import InteractiveShell

    from ft_notebook.notebook.magics import FinetuneMagics

    shown = []
    for place in ("IPython.display.display", "ft_notebook.notebook.drawing.chart.display"):
        monkeypatch.setattr(place, lambda bundle, raw: shown.append(bundle))
    magics = FinetuneMagics(InteractiveShell())

    def call(line):
        shown.clear()
        magics.runs(line)
        return list(shown)

    return call


def test_the_magic_compares_the_runs_that_it_names_and_lists_them_otherwise(store, magic):
    for name, recipe in (("one", RECIPE), ("two", FAST)):
        say(make(store, name, recipe=recipe), *told_runs.steps(5, 9))
    tables, figure = magic("one two")
    assert "train.learning_rate" in tables["text/plain"] and "application/vnd.plotly.v1+json" in figure
    listed, = magic("")
    assert "one" in listed["text/plain"] and "curve" in listed["text/plain"] and "<img" in listed["text/html"]


def test_the_magic_says_mistakes_in_one_line(store, magic):
    from IPython.core.error import UsageError

    make(store, "one")
    for line, words in (("one", "%attach one"), ("one one", "is the same run as"), ("one twoo", "There is no run 'twoo'")):
        with pytest.raises(UsageError, match=words):
            magic(line)


def test_the_magic_lists_the_newest_runs_and_what_is_damaged(store, magic):
    for number in range(23):
        make(store, f"run{number}")
    (store.list()[0].path / "run.json").write_text("{")
    few, = magic("")
    assert "2 older runs are left out; %runs --all shows them." in few["text/html"]
    assert "is damaged" in few["text/html"] and "is damaged" in few["text/plain"]
    everything, = magic("--all")
    assert "left out" not in everything["text/html"] and len(everything["text/plain"].splitlines()) == 24


def test_without_runs_the_magic_says_how_to_start_one(magic):
    shown, = magic("")
    assert "%%finetune" in shown["text/plain"] and "%%finetune" in shown["text/html"]


def test_names_of_runs_are_completed_behind_the_magic(store):
    from ft_notebook.notebook.completion import matches

    make(store, "one"), make(store, "other"), make(store, "two")
    assert sorted(matches("%runs two o", 0, 11, objects={})[0]) == ["one", "other"]


def test_a_name_that_is_none_is_refused_with_the_nearest(store):
    make(store, "one"), make(store, "two")
    with pytest.raises(RunNotFoundError, match="Did you mean `two`"):
        compare("one", "twoo")


@pytest.mark.parametrize(("damaged", "recipes"), [("report.json", "train.learning_rate"),
                                                  ("recipe.json", "The recipes cannot be compared")])
def test_what_is_damaged_is_said_and_the_rest_is_compared(store, damaged, recipes):
    for name, recipe in (("one", RECIPE), ("two", FAST)):
        say(make(store, name, recipe=recipe), *told_runs.steps(5, 9), StateEvent(state="finished"))
    (store.find("two").path / damaged).write_text("{")
    comparison = compare("one", "two")
    assert any(damaged in note for note in comparison.notes)
    assert recipes in comparison.text() and len(comparison.figure.data) == 4


@pytest.mark.parametrize("heights", [[10.0] * 12, [240.0] * 12, [*range(10, 130, 10)]])
def test_the_names_of_many_runs_stand_apart_beside_their_lines(heights):
    placed = [words.place[1] for words in ends([("run", height, "#000000") for height in heights], x=0, top=20, bottom=254)]
    assert all(below - above >= 12 for above, below in pairwise(placed)) and placed[0] >= 20 and placed[-1] <= 254


@pytest.mark.parametrize("text", HOSTILE)
def test_every_hostile_string_in_a_comparison_is_shown_as_text(text):
    def made(said):
        odd = RECIPE.model_copy(update={"data": RECIPE.data.model_copy(update={"source": said})})
        shown = replace(everywhere(said), recipe=odd)
        return Comparison([Compared(said, shown, problem=said), Compared("b", replace(shown, recipe=FAST), heldout="x")])

    bundle = made(text)._repr_mimebundle_()
    assert elements(bundle["text/html"]) <= elements(made("plain")._repr_mimebundle_()["text/html"])
    assert re.sub(r"\s+", " ", read(bundle["text/html"]).words).count(beginning(text)) >= 4
    drawn, = drawings(bundle["text/html"])
    assert {node.tag.split("}")[1] for node in drawn.iter()} == {"svg", "path", "text"}
    assert any((words or "").startswith(visible(text)[:20].replace("\r", "\n")) for words in texts(drawn))
    assert not set(bundle["text/plain"]) & set("\x1b\u202e\x00\u200b\x9b\r")


@pytest.mark.parametrize("text", HOSTILE)
def test_plotly_finds_no_tag_no_entity_and_no_formula_in_a_text(text):
    given = as_text(text)
    assert not set(given) & set("<>$\n")
    assert html.unescape(given) == visible(text).replace("\n", " ")


def test_the_figure_of_a_run_has_panels_axes_and_marks():
    figure = loss_figure(told_runs.finished().view, title="triage")
    traces = {trace.name: trace for trace in figure.data}
    assert set(traces) == {"train", "train, smoothed", "held out", "checkpoint", "learning rate", "gradient norm"}
    assert traces["learning rate"].yaxis == "y2" and traces["gradient norm"].yaxis == "y3"
    assert list(traces["checkpoint"].x) == [60, 120, 180, 240] and traces["held out"].line.dash == "dash"
    assert any(note.text == "best, step 144" for note in figure.layout.annotations)
    assert {button.args[0]["yaxis.type"] for button in figure.layout.updatemenus[0].buttons} == {"linear", "log"}


@pytest.mark.parametrize("count", [1200, 1201, 5000, 40_000])
def test_a_figure_of_a_long_run_has_few_points_and_keeps_its_peak(count):
    told = told_runs.steps(count, count)
    told[count // 2] = told_runs.step(count // 2 + 1, count, loss=7.5)
    figure = loss_figure(told_runs.facts(*told, *told_runs.evaluations(20, count)).view, title="long")
    assert sum(len(trace.x) for trace in figure.data) <= MOST_POINTS
    assert max(value for trace in figure.data for value in trace.y if value is not None) == 7.5
    assert len(json.dumps(figure._repr_mimebundle_())) < 160_000


def test_a_figure_without_a_step_is_empty_and_says_so():
    bundle = loss_figure(told_runs.queued().view, title="new")._repr_mimebundle_()
    assert bundle["text/plain"] == "new: no step yet" and "text/html" not in bundle


def test_the_reader_of_these_tests_sees_what_breaks_out():
    assert ("script",) in elements("<p><script>x</script></p>") and Reader("<b>x</b>").words == "x"
