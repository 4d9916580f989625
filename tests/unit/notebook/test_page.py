"""A living run in an output: what is sent to the page, as far as the page has told what it can show."""

import json

import pytest

from ft_notebook.events import StateEvent, StepEvent
from ft_notebook.notebook import progress
from ft_notebook.notebook.live import WIDGET_MIME, LiveWidget
from ft_notebook.recipe.schema import Recipe
from ft_notebook.store.runs import RunStore
from ft_notebook.views.facts import facts_of
from ft_notebook.views.live_state import LIVE_MIME
from ft_notebook.views.run_view import RunView

TRAINING = StateEvent(state="training", seq=1, time=1.0)


def step(number, **changes):
    values = dict(seq=number + 1, time=2.0 * number, step=number, steps=50, epoch=0.1, loss=1.0, learning_rate=1e-4,
                  grad_norm=1.0, tokens=10, trained_tokens=5, step_s=1.0, tokens_per_s=10.0, example_ids=[])
    return StepEvent(**{**values, **changes})


class Handle:
    """Keeps what an output was replaced by."""

    def __init__(self, shown):
        self.shown = [shown]

    def update(self, bundle, *, raw):
        assert raw
        self.shown.append(bundle)


@pytest.fixture
def folder(own_store):
    return RunStore().create(Recipe(data={"source": "rows"}), name="triage", recipe_text="data: rows\n",
                             train_lines=["{}"], heldout_lines=[], data_digest="d", data_report={}, versions={})


@pytest.fixture
def page_in(folder, monkeypatch):
    def make(front):
        monkeypatch.setattr(progress, "front", lambda: front)
        monkeypatch.setattr("IPython.display.display", lambda bundle, **_: Handle(bundle))
        page = progress.Page(folder, facts=lambda view: facts_of(folder, view))
        page.display(RunView.of([TRAINING, step(1)]))
        return page

    return make


def tell(page, **content):
    page._widget._handle_custom_msg(content, [])


def test_a_page_that_has_told_nothing_gets_html_each_time(page_in):
    page = page_in("kernel")
    for count in (2, 3):
        page.repaint(RunView.of([TRAINING, *map(step, range(1, count + 1))]))
    shown = page._handle.shown
    assert len(shown) == 3 and all("text/html" in bundle and WIDGET_MIME not in bundle for bundle in shown)
    assert [bundle[LIVE_MIME]["state"]["step"] for bundle in shown] == [1, 2, 3]
    assert shown[0][LIVE_MIME]["run_id"].startswith("triage-")


def test_a_page_that_shows_the_run_by_itself_is_left_alone_but_for_a_snapshot_now_and_then(page_in, monkeypatch):
    page = page_in("kernel")
    tell(page, type="hello", front="server")
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    for count in range(2, 30):
        now[0] += 0.5
        page.repaint(RunView.of([TRAINING, *map(step, range(1, count + 1))]))
    updates = page._handle.shown[1:]
    assert 2 <= len(updates) <= 3
    assert all(LIVE_MIME in bundle and WIDGET_MIME not in bundle for bundle in updates)
    assert "train loss" in updates[-1]["text/html"]


def test_a_page_that_can_show_the_widget_gets_it_and_its_state(page_in, monkeypatch):
    page = page_in("kernel")
    tell(page, type="hello", front="widget")
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    for count in (2, 3):
        page.repaint(RunView.of([TRAINING, *map(step, range(1, count + 1))]))
        now[0] += 1000.0        # an output that is sent again makes another view of the widget
    bundle = page._handle.shown[-1]
    assert bundle[WIDGET_MIME]["model_id"] == page._widget.model_id and LIVE_MIME not in bundle
    assert "text/html" in bundle and len(page._handle.shown) == 2
    assert page._widget.state["step"] == 3


def test_at_the_end_a_widget_goes_unless_a_page_that_was_loaded_again_needs_it(page_in, folder):
    for hellos, is_there in ((1, False), (2, True)):
        page = page_in("kernel")
        for _ in range(hellos):
            tell(page, type="hello", front="widget")
        page.end({"text/plain": "over"})
        assert (page._widget.comm is not None) == is_there
    assert page._widget.state["state"] == folder.state()


@pytest.mark.parametrize("front", ["vscode", "colab"])
def test_where_widgets_are_known_to_work_the_first_output_has_one(page_in, front):
    assert WIDGET_MIME in page_in(front)._handle.shown[0]


def test_a_new_state_of_the_run_is_saved_at_once(page_in):
    page = page_in("kernel")
    tell(page, type="hello", front="server")
    page.repaint(RunView.of([TRAINING, step(1)]))
    page.repaint(RunView.of([TRAINING, step(1), StateEvent(state="paused", seq=3)]))
    assert page._handle.shown[-1]["text/plain"].startswith("triage: paused")


def test_without_the_packages_of_widgets_a_run_is_html(page_in, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ft_notebook.notebook.live", None)
    page = page_in("kernel")
    page.repaint(RunView.of([TRAINING, step(1), step(2)]))
    page.end({"text/plain": "over"})
    assert "text/html" in page._handle.shown[-2] and page._handle.shown[-1] == {"text/plain": "over"}


def test_an_old_final_state_is_passed_by(page_in):
    page = page_in("kernel")
    page.repaint(RunView.of([TRAINING, StateEvent(state="stopped")]))
    assert len(page._handle.shown) == 1


@pytest.mark.parametrize(("content", "said"), [
    ({"kind": "pause", "values": {}}, {"ok": True, "text": "asked for pause {}"}),
    ({"kind": "change", "values": {"epochs": 2}}, {"ok": True, "text": "asked for change {'epochs': 2}"}),
    ({"kind": "pause", "values": "nonsense"}, {"ok": True, "text": "asked for pause {}"}),
    ({"kind": "refused"}, {"ok": False, "text": "No.␛"}),
])
def test_what_the_page_asks_reaches_the_run_and_is_answered(folder, monkeypatch, content, said):
    from ft_notebook.errors import UserError
    from ft_notebook.train import steer

    def ask(asked, kind, values):
        assert asked == folder
        if kind == "refused":
            raise UserError("No.\x1b")
        return f"asked for {kind} {values}"

    monkeypatch.setattr(steer, "ask", ask, raising=False)
    widget, sent = LiveWidget(folder, {"tag": "1"}), []
    monkeypatch.setattr(widget, "send", lambda content, buffers=None: sent.append(content))
    widget._handle_custom_msg({"type": "ask", "id": 7, **content}, [])
    widget._handle_custom_msg({"type": "what?"}, [])
    widget._handle_custom_msg("nonsense", [])
    assert sent == [{"type": "said", "id": 7, **said}]


def test_what_a_widget_sends_to_the_page_stays_small(folder):
    view = RunView.of([TRAINING, *(step(n, steps=2000) for n in range(1, 2001))])
    from ft_notebook.views.live_state import live_state

    widget = LiveWidget(folder, live_state(facts_of(folder, view), now=5000.0))
    assert len(widget._esm.encode()) < 40_000
    assert len(json.dumps(widget.state)) < 50_000
