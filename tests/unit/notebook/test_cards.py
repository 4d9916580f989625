"""Cards and their plain-text twins: what they say in each state of a run."""

import base64
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from ft_notebook.evaluate.report import ExampleResult, MetricResult, Report
from ft_notebook.events import ErrorEvent, EvaluationEvent, MessageEvent, PlanEvent, SampleEvent, StateEvent, StepEvent
from ft_notebook.notebook.cards import plan_card, progress_card, run_card, runs_card, tokens_card
from ft_notebook.notebook.plain import plan_text, run_text
from ft_notebook.views.facts import RunFacts
from ft_notebook.views.run_view import RunView

HOSTILE = "<script>alert('x')</script>\x1b[31m\u202e"


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
    assert len(images) <= 1     # the drawing, which holds figures only
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


def test_an_empty_list_of_runs_says_how_to_start_one():
    assert "%%finetune" in read(runs_card([])).words


def test_a_long_run_draws_a_small_picture():
    assert len(run_card(facts(*steps(5000, total=5000)))) < 40_000
