"""Cards and their plain-text twins: what they say in each state of a run."""

import base64
import re
import sys
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

import told_runs
from hostile import HOSTILE as ALL_HOSTILE

from ft_notebook.evaluate.report import ExampleResult, MetricResult, Report
from ft_notebook.events import ErrorEvent, EvaluationEvent, MessageEvent, PlanEvent, SampleEvent, StateEvent, StepEvent
from ft_notebook.notebook.cards import plan_card, progress_card, run_card, runs_card, tokens_card
from ft_notebook.notebook.drawing.curve import loss_curve
from ft_notebook.notebook.plain import plan_text, run_text, runs_text
from ft_notebook.notebook.runs_table import RunRow, rows_of
from ft_notebook.recipe.schema import Recipe
from ft_notebook.store.runs import RunStore
from ft_notebook.views.facts import RunFacts
from ft_notebook.views.run_view import RunView
from ft_notebook.views.text import visible

HOSTILE = "<script>alert('x')</script>\x1b[31m\u202e"


@pytest.fixture(autouse=True)
def universal_time(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


class Reader(HTMLParser):
    """The words of a page, and whether every element is closed."""

    def __init__(self, page):
        super().__init__()
        self.open, self.words, self.tags = [], "", []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words += data


def read(page):
    reader = Reader(page)
    assert reader.open == []
    return reader


def steps(count, total=50):
    return [StepEvent(step=n, steps=total, epoch=n / 10, loss=3 / n, learning_rate=1e-4, grad_norm=1.0, tokens=200,
                      trained_tokens=50, step_s=2.0, tokens_per_s=100.0, example_ids=[], time=float(2 * n))
            for n in range(1, count + 1)]


def facts(*events, **more):
    return RunFacts(name="triage", run_id="triage-1", subject="tiny · lora r4 · rows", view=RunView.of(events), **more)


def metric(name="exact_match", **changes):
    values = dict(name=name, base=0.12, base_low=0.07, base_high=0.18, tuned=0.86, tuned_low=0.81, tuned_high=0.91,
                  difference=0.74, low=0.66, high=0.81, is_noise=False, examples=180)
    return MetricResult(**{**values, **changes})


def report(**changes):
    example = ExampleResult(id="a", row=7, prompt=HOSTILE, reference="r", base_answer="low priority",
                            tuned_answer="high priority", base_score=0.0, tuned_score=1.0, base_loss=None,
                            tuned_loss=None)
    loss = metric("loss", base=2.0, base_low=None, base_high=None, tuned=1.0, tuned_low=None, tuned_high=None,
                  difference=-1.0, low=-1.2, high=-0.8, is_share=False, is_higher_better=False)
    values = dict(run_id="triage-1", name="triage", model="tiny", created=0.0, heldout_examples=180,
                  answered_examples=180,
                  metrics=[metric()], loss=loss, perplexity=None, main_metric="exact_match", improved=[example],
                  worsened=[], examples=[example], verdict="Better by 74 points.", verdict_kind="better", notes=[],
                  seconds=1.0, tokens_per_s=1.0)
    return Report(**{**values, **changes})


def test_a_run_without_a_step_says_what_it_does_now():
    page = read(run_card(facts(StateEvent(state="preparing"))))
    assert "preparing" in page.words and "No step yet" in page.words


def test_the_state_is_a_status_for_screen_readers():
    page = read(progress_card(facts(StateEvent(state="training"), *steps(3))))
    assert [tag for tag, attributes in page.tags if attributes.get("role") == "status"] == ["span"]


def test_a_living_run_shows_step_loss_speed_and_time_left():
    shown = facts(StateEvent(state="training"), *steps(20))
    for words in (read(progress_card(shown)).words, run_text(shown)):
        assert "20 / 50" in words and "0.15" in words and "1:00" in words and "100" in words


def test_the_curve_is_said_in_words_too():
    evaluations = [EvaluationEvent(step=n, loss=loss, perplexity=1.0, trained_tokens=1, is_best=True, duration_s=0.1)
                   for n, loss in ((0, 3.0), (10, 0.93), (20, 1.12))]
    page = read(run_card(facts(*steps(20), *evaluations)))
    sentence = next(attributes["alt"] for tag, attributes in page.tags if tag == "img")
    assert "lowest 0.93 at step 10" in sentence and sentence in page.words


def test_a_page_that_strips_drawings_to_their_texts_finds_none():
    page = run_card(facts(*steps(20)))
    assert "<svg" not in page and "<text" not in page
    drawing = base64.b64decode(re.search(r"data:image/svg\+xml;base64,([^\"]+)", page)[1]).decode()
    assert ElementTree.fromstring(drawing).tag == "{http://www.w3.org/2000/svg}svg" and ">train " in drawing


def test_a_finished_run_shows_verdict_intervals_and_changed_words():
    shown = facts(StateEvent(state="finished"), *steps(20), report=report())
    page = run_card(shown)
    assert "Better by 74 points." in read(page).words
    assert "<del>low</del> priority" in page and "<ins>high</ins> priority" in page
    for words in (read(page).words, run_text(shown)):
        assert "86.0 % (81.0 to 91.0)" in words and "+74.0 points (+66.0 to +81.0)" in words and "-1 (-1.2 to -0.8)" in words


def test_noise_is_said_and_not_shown_as_success():
    shown = report(verdict="No difference beyond noise.", verdict_kind="noise", metrics=[metric(is_noise=True)])
    page = read(run_card(facts(StateEvent(state="finished"), report=shown)))
    assert "within noise" in page.words
    assert any("ftn-noise" in str(attributes.get("class")) for _, attributes in page.tags)


def test_a_failed_run_shows_why_with_the_examples_and_the_end_of_the_output():
    error = ErrorEvent(kind="NonFiniteError", text="The loss is not a number.", example_ids=["row-7"])
    shown = facts(*steps(3), error, StateEvent(state="failed"), log_tail="Killed")
    for words in (read(run_card(shown)).words, run_text(shown)):
        assert "NonFiniteError" in words and "The loss is not a number." in words and "Killed" in words
    assert "row-7" in read(run_card(shown)).words


@pytest.mark.parametrize("build", [run_card, progress_card])
def test_hostile_text_anywhere_is_shown_as_text(build):
    sample = SampleEvent(step=1, prompt_index=0, prompt=HOSTILE, reference=HOSTILE, answer=HOSTILE)
    page = build(RunFacts(
        name=HOSTILE, run_id=HOSTILE, subject=HOSTILE, notice=HOSTILE, advice=HOSTILE, log_tail=HOSTILE,
        view=RunView.of([*steps(3), sample, MessageEvent(level="warning", text=HOSTILE),
                         ErrorEvent(kind=HOSTILE, text=HOSTILE, example_ids=[HOSTILE])])))
    reader = read(page)
    assert not {tag for tag, _ in reader.tags} & {"script", "iframe"}
    images = [attributes for tag, attributes in reader.tags if tag == "img"]
    assert len(images) <= 2     # the drawings, which hold figures only
    assert all(set(one) == {"src", "alt", "width", "height"} for one in images)
    assert all(one["src"].startswith("data:image/svg+xml;base64,") for one in images)
    assert "<script>alert('x')</script>␛[31m⟨U+202E⟩" in reader.words
    assert "\x1b" not in page and "\u202e" not in page


def test_hostile_text_is_made_visible_in_plain_text_too():
    text = run_text(facts(MessageEvent(level="warning", text=HOSTILE)))
    assert "\x1b" not in text and "\u202e" not in text


def test_a_plan_shows_memory_as_low_expected_high_and_what_is_trained():
    plan = PlanEvent(
        train_examples=240, heldout_examples=60, total_tokens=20_000, trained_tokens=4_000, truncated_examples=2,
        longest_tokens=212, trainable_parameters=4_884_480, total_parameters=139_000_000, epochs=3.0, steps=90,
        batch_size=8, accumulate=1, memory_low_bytes=2 * 10**9, memory_expected_bytes=3 * 10**9,
        memory_high_bytes=4 * 10**9, disk_bytes=10**8, device="cpu", precision="fp32", notes=["A note."])
    for words in (read(plan_card(plan, name="triage")).words, plan_text(plan, name="triage")):
        for figure in ("240 to train on, 60 held out", "4,000 trained (20 %)", "3.51 %", "90", "100 MB",
                       "low 2.0 GB, expected 3.0 GB, high 4.0 GB", "A note."):
            assert figure in words


def test_trained_tokens_are_told_apart_without_colour():
    page = tokens_card("row 1", [("user", False), (" Bill", True), ("ing\n", True)])
    assert '<span class="ftn-tok">user</span><b class="ftn-tok"> Bill</b><b class="ftn-tok">ing↵\n</b>' in page


def drawings(page):
    """The texts and shapes of the card's images."""
    found = re.findall(r"data:image/svg\+xml;base64,([^\"]+)", page)
    return [ElementTree.fromstring(base64.b64decode(each)) for each in found]


def texts(drawing):
    return [node.text for node in drawing.iter("{http://www.w3.org/2000/svg}text")]


def test_the_picture_marks_best_checkpoints_and_what_is_off_the_scale():
    told = [*told_runs.steps(60, 60), *told_runs.evaluations(5, 60), told_runs.checkpoint(20), told_runs.checkpoint(40)]
    calm = texts(drawings(run_card(told_runs.facts(*told)))[0])
    assert "best, step 30" in calm and "checkpoint" in calm and not any("off the scale" in text for text in calm)
    told[30] = told_runs.step(31, 60, loss=400.0)
    wild = drawings(run_card(told_runs.facts(*told)))[0]
    assert "off the scale, up to 400" in texts(wild)
    assert "3" in texts(wild)       # and the scale is still that of the other losses


def test_a_value_that_is_not_finite_leaves_a_gap():
    told = told_runs.steps(20)
    whole = len(drawings(run_card(told_runs.facts(*told)))[0])
    told[9] = told_runs.step(10, 240, loss=float("nan"))
    assert len(drawings(run_card(told_runs.facts(*told)))[0]) == whole + 1     # the thin line is two now


def test_learning_rate_and_gradient_norm_are_drawn_beside_the_losses():
    beside = texts(drawings(run_card(told_runs.training()))[1])
    assert {"learning rate", "gradient norm"} <= set(beside)


def test_names_at_the_ends_of_lines_never_lie_on_one_another():
    told = [*(told_runs.step(n, 9, loss=1.0) for n in range(1, 10)), told_runs.evaluation(9, 1.0)]
    named = [node for node in drawings(run_card(told_runs.facts(*told)))[0].iter() if node.get("font-weight")]
    heights = sorted(float(node.get("y")) for node in named)
    assert len(heights) == 2 and heights[1] - heights[0] >= 12


def test_a_peak_of_a_long_run_is_drawn_however_thin_the_run_is_drawn():
    told = told_runs.steps(3000, 3000)
    told[1501] = told_runs.step(1502, 3000, loss=9.0)
    drawn = drawings(run_card(told_runs.facts(*told)))[0]
    assert "mean and range of several steps" in texts(drawn) and "off the scale, up to 9" in texts(drawn)


def test_a_run_of_a_hundred_thousand_steps_is_drawn_at_once():
    view = RunView.of(told_runs.step(n, 100_000) for n in range(1, 100_001))
    best = min(_timed(lambda: loss_curve(view)) for _ in range(3))
    assert best < 0.05 and len(loss_curve(view)) < 40_000


def _timed(does):
    start = time.process_time()
    does()
    return time.process_time() - start


def test_a_run_that_was_cut_off_says_so_with_the_last_it_knew():
    for words in (read(run_card(told_runs.cut_off())).words, run_text(told_runs.cut_off())):
        assert "Cut off after step 48 of 235; last heard 14:00 on 2026-11-22." in words
        assert "The last checkpoint is of step 40." in words


def test_a_run_that_lives_when_the_notebook_is_saved_says_how_to_follow_it():
    words = read(run_card(told_runs.training(), now=told_runs.START + 180)).words
    assert "As of step 179 of 240, 14:03 on 2026-11-22; the run goes on: run this cell again to follow it." in words


def test_a_run_that_waits_says_since_when_that_is_known():
    words = read(run_card(told_runs.queued(), now=told_runs.START)).words
    assert "Queued at 14:00 on 2026-11-22; the run goes on: run this cell again to follow it." in words


@pytest.mark.parametrize(("state", "words"), [
    ("finished", "Finished "), ("stopped", "Stopped after step 3 of 50"), ("discarded", "Discarded after step 3 of 50"),
    ("failed", "Failed after step 3 of 50")])
def test_a_run_that_is_over_says_how_it_ended(state, words):
    shown = facts(*steps(3), StateEvent(state=state, time=9.0))
    assert words in read(run_card(shown)).words and words in run_text(shown)
    assert "run this cell again" not in read(run_card(shown)).words


def test_a_run_that_failed_before_its_first_step_says_that():
    assert "Failed before the first step" in read(run_card(facts(StateEvent(state="failed", time=1.0)))).words


def test_a_message_has_its_title_in_bold_and_names_its_examples():
    said = MessageEvent(level="warning", title="Loss is not finite.", text="Look at these.", example_ids=["a", "b"])
    page = run_card(facts(said))
    assert "<b>Loss is not finite.</b> Look at these. Examples: a, b." in page
    assert "warning: Loss is not finite. Look at these. Examples: a, b." in run_text(facts(said))


def test_of_many_messages_the_newest_are_shown_and_the_others_counted():
    page = read(run_card(facts(*(MessageEvent(level="info", text=f"message {n}.") for n in range(9))))).words
    assert "message 8." in page and "message 3." in page and "message 2." not in page
    assert "3 earlier ones are left out." in page


def test_samples_show_the_first_and_the_two_newest_answers_with_what_changed():
    page = run_card(told_runs.facts(*told_runs.steps(200), *told_runs.samples([0, 48, 120, 168])))
    words = read(page).words
    assert "before training" in words and "step 120" in words and "step 168" in words and "step 48" not in words
    assert "<del>medium</del> priority" in page and "<ins>high</ins> priority" in page
    assert "I'm sorry to hear that" in words


def test_an_answer_that_is_missing_at_a_step_leaves_its_place():
    page = read(run_card(facts(*steps(9), told_runs.samples([0])[0], told_runs.samples([0, 5])[3])))
    assert "–" in page.words and "step 5" in page.words


def test_data_and_recipe_are_there_folded():
    page = run_card(told_runs.finished())
    summaries = re.findall(r"<summary>(.*?)</summary>", page)
    assert summaries == ["Answers to the fixed prompts over time", "The data in numbers", "Recipe"]
    assert "182 to train on, 61 held out" in read(page).words and "learning_rate: 0.0002" in read(page).words


@pytest.mark.parametrize("kind", ["noise", "worse"])
def test_a_verdict_that_is_not_good_does_not_look_good(kind):
    page = read(run_card(told_runs.finished(report=told_runs.report(verdict_kind=kind))))
    looks = next(str(attributes["class"]) for tag, attributes in page.tags
                 if "ftn-verdict" in str(attributes.get("class")))
    assert ("ftn-noise" in looks) == (kind == "noise") and ("ftn-bad" in looks) == (kind == "worse")


def everywhere(text):
    """A run that says the same in every slot that holds text."""
    told = told_runs.report(
        name=text, model=text, verdict=text, notes=[text], metrics=[told_runs.metric(text)],
        improved=[ExampleResult(id=text, row=1, prompt=text, reference=text, base_answer="a b c", tuned_answer=text,
                                base_score=0.0, tuned_score=1.0, base_loss=None, tuned_loss=None)],
        worsened=[], examples=[])
    said = MessageEvent(level="warning", title=text, text=text, code=text, example_ids=[text])
    sampled = [SampleEvent(step=n, prompt_index=0, prompt=text, reference=text, answer=f"{text}{n}") for n in (0, 1)]
    planned = told_runs.plan().model_copy(update={"device": text, "precision": text, "notes": [text]})
    error = ErrorEvent(kind=text, text=text, example_ids=[text])
    return RunFacts(name=text, run_id=text, subject=text, notice=text, advice=text, log_tail=text, recipe_text=text,
                    report=told, view=RunView.of([planned, *told_runs.steps(3), *sampled, said, error]))


def elements(page):
    """Every kind of element with the names of its attributes."""
    return {(tag, *sorted(attributes)) for tag, attributes in read(page).tags} - {("span",), ("ins",), ("del",)}


def beginning(text):
    return re.sub(r"\s+", " ", visible(text))[:150].strip()


@pytest.mark.parametrize("text", ALL_HOSTILE)
def test_every_hostile_string_in_every_slot_of_the_card_is_shown_as_text(text):
    page = run_card(everywhere(text))
    assert elements(page) <= elements(run_card(everywhere("plain")))
    shown = re.sub(r"\s+", " ", read(page).words.replace(" ↵ ", " "))
    assert shown.count(beginning(text)) >= 12
    for drawing in drawings(page):
        assert not [node for node in drawing.iter() if node.tag.split("}")[1] not in {"svg", "path", "text"}]


@pytest.mark.parametrize("text", ALL_HOSTILE)
def test_every_hostile_string_in_the_table_of_runs_is_shown_as_text(text):
    def rows(said):
        return [RunRow(said, said, said, said, said, losses=(2.0, 1.0)), RunRow(said, said, said, said, problem=said)]

    page = runs_card(rows(text), notes=[text], problems=[text])
    assert elements(page) <= elements(runs_card(rows("plain"), notes=["plain"], problems=["plain"]))
    assert re.sub(r"\s+", " ", read(page).words).count(beginning(text)) >= 6
    assert not set(runs_text(rows(text), notes=[text])) & set("\x1b\u202e\x00\u200b\x9b\r")


def test_an_empty_list_of_runs_says_how_to_start_one():
    assert "%%finetune" in read(runs_card([])).words and "%%finetune" in runs_text([])


@pytest.fixture
def store(own_store):
    return RunStore()


def make(store, name="triage", **changes):
    values = {"recipe_text": "", "train_lines": ["{}"], "heldout_lines": ["{}"], "data_digest": "d", "data_report": {},
              "versions": {}, **changes}
    return store.create(values.pop("recipe", Recipe(data={"source": "rows"})), name=name, **values)


def say(folder, *events):
    with folder.worker_lock(), folder.open_log() as log:
        for event in events:
            log.append(event)


def test_the_table_of_runs_has_losses_and_a_small_curve_with_words(store):
    folder = make(store)
    say(folder, *told_runs.steps(30, 30), *told_runs.evaluations(5, 30), StateEvent(state="finished"))
    row, = rows_of(store.list())
    assert row.best == min(done.loss for done in told_runs.evaluations(5, 30)) and row.progress == "step 30 of 30"
    page = read(runs_card([row]))
    image, = [attributes for tag, attributes in page.tags if tag == "img"]
    assert image["alt"].startswith("train loss from 2.") and "finished" in page.words
    assert "▁" in runs_text([row])


def test_a_small_curve_and_the_best_leave_out_what_a_resume_made_void(store):
    folder = make(store)
    again = [told_runs.step(n, 9, loss=9.0) for n in (3, 4)]
    say(folder, *told_runs.steps(2, 9), *again, told_runs.evaluation(4, 0.1), told_runs.checkpoint(2),
        told_runs.resume(2), told_runs.step(3, 9, loss=1.5), told_runs.evaluation(3, 0.7))
    row, = rows_of(store.list())
    assert len(row.losses) == 3 and row.losses[-1] == 1.5 and row.best == 0.7


def test_a_long_log_is_drawn_from_few_of_its_lines(store):
    folder = make(store)
    say(folder, *told_runs.steps(2000, 2000))
    row, = rows_of(store.list())
    assert len(row.losses) == 60 and row.losses[-1] == pytest.approx(told_runs.loss_at(2000, 2000))
    assert len(runs_card([row])) - len(runs_card([replace(row, losses=())])) < 2500


def test_an_older_run_of_a_name_is_shown_by_its_id(store):
    old, new = make(store), make(store)
    if old.created > new.created:
        old, new = new, old
    cells = read(runs_card(rows_of(store.list()))).words
    assert old.id in cells and new.id not in cells


def test_a_run_that_cannot_be_read_says_so_in_its_row(store):
    make(store, "good")
    bad = make(store, "bad")
    bad.log_path.unlink()
    bad.log_path.mkdir()
    rows = {row.name: row for row in rows_of(store.list())}
    assert rows["good"].problem == "" and rows["bad"].state == "unreadable"
    assert rows["bad"].problem in read(runs_card(list(rows.values()))).words
    assert rows["bad"].problem in runs_text(list(rows.values()))


def test_a_long_run_draws_a_small_picture():
    assert len(run_card(facts(*steps(5000, total=5000)))) < 40_000
