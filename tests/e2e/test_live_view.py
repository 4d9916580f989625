"""The live view in a real Chromium: how it looks, what it says, what its hands ask for, what feeds it."""

from __future__ import annotations

import importlib.util
import io
import itertools
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from hostile import HOSTILE
from lab import CHROMIUM
from live_page import LiveServer, failed, finished, preparing, series, training
from view_page import MARKUP, ROOT, THEMES, barriers, watched

from ft_notebook.notebook.assets import asset

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs Debian's chromium (apt-get install chromium)")
pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install playwright)")

STATES: dict[str, tuple[dict[str, Any] | None, str]] = {
    "empty": (preparing(), "live"), "loading": (None, "loading"), "live": (training(), "live"), "failed": (failed(), "live"),
}
WIDTHS = {"50 %": 2008, "100 %": 1004, "200 %": 480}
FAULTS = """() => {
  const found = [], cut = (rect) => ({l: rect.left, r: rect.right, t: rect.top, b: rect.bottom});
  const meet = (a, b) => Math.min(a.r, b.r) - Math.max(a.l, b.l) > 1 && Math.min(a.b, b.b) - Math.max(a.t, b.t) > 1;
  const seen = [...document.querySelectorAll(".ftn-live *")].filter((e) => e.checkVisibility() && !e.closest(".ftn-hear"));
  for (const e of seen) {
    if (e instanceof HTMLElement && e.clientWidth && e.scrollWidth > e.clientWidth + 1) found.push(`clipped: ${e.localName} ${e.textContent}`);
  }
  const groups = [seen.filter((e) => e.localName === "text" && e.textContent),
                  seen.filter((e) => e.matches("button, input, dt, dd, .ftn-top b, .ftn-chip, .ftn-subject, li, p, td, summary, svg.ftn-chart"))];
  for (const group of groups) {
    const boxes = group.map((e) => [e, cut(e.getBoundingClientRect())]);
    boxes.forEach(([a, box], at) => boxes.slice(at + 1).forEach(([b, other]) => {
      if (!a.contains(b) && !b.contains(a) && meet(box, other)) found.push(`overlap: ${a.textContent} | ${b.textContent}`);
    }));
  }
  const chart = document.querySelector(".ftn-chart")?.getBoundingClientRect();
  for (const e of groups[0]) {
    const box = e.getBoundingClientRect();
    if (box.left < chart.left - 1 || box.right > chart.right + 1 || box.bottom > chart.bottom + 1 || box.top < chart.top - 1) found.push(`outside: ${e.textContent}`);
  }
  if (document.documentElement.scrollWidth > innerWidth) found.push(`page is ${document.documentElement.scrollWidth} wide`);
  return found;
}"""


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with LiveServer() as running:
        yield running


@pytest.fixture
def page(browser: Any, server: LiveServer) -> Iterator[Any]:
    with watched(browser, height=900) as opened:
        load(opened, server, "light")
        yield opened


def load(page: Any, server: LiveServer, theme: str) -> None:
    page.goto(f"{server.url}/?{theme}")
    page.wait_for_function("window.ready")


def draw(page: Any, state: dict[str, Any] | None, link: str = "live") -> None:
    page.evaluate("([state, link]) => show(state, link)", [state, link])
    page.evaluate("settled()")


def update(page: Any, state: dict[str, Any] | None) -> None:
    page.evaluate("state => source.change({state})", state)
    page.evaluate("settled()")


def stop_clock(page: Any) -> None:
    """From here on the page's time goes on by `page.clock.run_for` alone."""
    page.clock.install(time="2030-01-01T00:00:00Z")
    page.clock.pause_at("2030-01-01T00:01:00Z")


def reading(page: Any) -> str:
    page.evaluate("settled()")
    return str(page.locator(".ftn-read").inner_text())


def steps_shown(page: Any) -> list[int]:
    """The numbers under the chart."""
    page.evaluate("settled()")
    texts = page.locator(".ftn-chart > g > text[text-anchor=middle]").all_text_contents()
    return [int(text.replace(",", "")) for text in texts]


def save_picture(page: Any, path: Path) -> None:
    page.mouse.move(0, 0)
    raw = page.locator(".ftn-live").screenshot(animations="disabled")
    if importlib.util.find_spec("PIL"):
        from PIL import Image

        small = io.BytesIO()
        Image.open(io.BytesIO(raw)).convert("RGB").quantize(256).save(small, "PNG", optimize=True)
        raw = small.getvalue()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw)


def test_the_module_is_small_and_never_turns_text_into_markup() -> None:
    code = asset("live.js")
    assert len(code.encode()) < 40_000
    assert not MARKUP.search(code)


@pytest.mark.parametrize("theme", THEMES)
def test_each_state_is_readable_at_each_zoom_and_has_no_serious_barrier(theme: str, page: Any, server: LiveServer) -> None:
    load(page, server, theme)
    close = training(evaluations=[{"step": 0, "loss": 3.1}, {"step": 168, "loss": 0.665}], best={"step": 235, "loss": 0.665})
    others = {"finished": (finished(), "live"), "lost": (training(), "lost"), "lines that end together": (close, "live")}
    for name, (state, link) in {**STATES, **others}.items():
        for zoom, width in WIDTHS.items():
            page.set_viewport_size({"width": width, "height": 900})
            draw(page, state, link)
            assert page.evaluate(FAULTS) == [], (name, zoom)
        page.set_viewport_size({"width": 1004, "height": 900})
        update(page, state)         # came just now: the time that is left counts down
        if name in STATES:
            save_picture(page, ROOT / "docs" / "images" / f"live-{name}-{theme}.png")
        more = page.get_by_role("button", name="More")
        if more.is_visible():
            more.click()
        assert barriers(page) == [], name


def test_the_four_states_say_in_words_what_they_are(page: Any) -> None:
    view = page.locator(".ftn-live")
    draw(page, None, "loading")
    assert "Looking for the run…" in view.inner_text()
    draw(page, preparing())
    assert "Loading the model" in view.inner_text() and not page.locator(".ftn-chart").is_visible()
    draw(page, failed())
    said = view.inner_text()
    assert said.index("NonFiniteError") < said.index("61 / 240") and "It came to step 61 of 240; last checkpoint: step 40." in said
    draw(page, training(), "lost")
    assert "run the cell again or %attach triage" in view.inner_text() and "how it stood at" in view.inner_text()
    assert view.get_by_role("button", name="Pause").count() == 0 and "179 / 240" in view.inner_text()


def test_figures_are_in_words_and_the_clocks_go_on_between_updates(page: Any) -> None:
    stop_clock(page)
    draw_now = "([state]) => { show(state); }"
    page.evaluate(draw_now, [training()])
    figures = page.locator(".ftn-figures")
    words = re.sub(r"\s+", " ", figures.inner_text())
    for pair in ["179 / 240 step, epoch 2.2 of 3", "0:52 left 2:34 so far", "186 tokens/s", "33,210 of 44,640 tokens", "2.9 GB of 3.1 GB planned"]:
        figure, label = re.match(r"([\d,./:]+(?: (?:/ \d+|left|GB))?) (.*)", pair).groups()  # type: ignore[union-attr]
        assert f"{label} {figure}" in words or f"{figure} {label}" in words, (pair, words)
    page.clock.run_for(10_000)
    assert "0:42 left" in figures.inner_text() and "2:44 so far" in figures.inner_text()
    page.evaluate("leave()")
    assert page.locator(".ftn-live").count() == 0 and page.evaluate("source.listeners.size") == 0


def test_samples_mark_what_changed_between_the_two_newest_answers(page: Any) -> None:
    draw(page, training())
    assert page.locator(".ftn-samples th").all_inner_texts() == ["prompt", "reference", "before training", "step 120", "step 168"]
    assert page.locator(".ftn-samples del").all_inner_texts() == ["medium", "Billing"]
    assert page.locator(".ftn-samples ins").all_inner_texts() == ["high", "Account"]
    for tag, line in {"del": "line-through", "ins": "underline"}.items():
        assert line in page.evaluate(f"getComputedStyle(document.querySelector('.ftn-samples {tag}')).textDecorationLine")
    long = training()
    long["samples"] = [{"prompt": "p", "reference": "", "answers": [{"step": 1, "text": "one " * 401}, {"step": 2, "text": "two " * 401}]}]
    update(page, long)
    assert page.locator(".ftn-samples ins").count() == 0 and "two two" in page.locator(".ftn-samples").inner_text()


def test_an_update_keeps_focus_folds_selection_and_zoom(page: Any) -> None:
    draw(page, training())
    page.get_by_text("Recipe", exact=True).click()
    chart = page.locator(".ftn-chart")
    chart.focus()
    page.keyboard.press("+")
    before = steps_shown(page)
    page.evaluate("document.getSelection().selectAllChildren(document.querySelector('.ftn-samples td'))")
    update(page, training(series=series(200), step=200, tag="200"))
    assert steps_shown(page) == before and page.evaluate("document.activeElement.matches('.ftn-chart')")
    assert page.locator(".ftn-folds pre").is_visible() and "App crashes" in page.evaluate("String(document.getSelection())")
    assert "200 / 240" in page.locator(".ftn-figures").inner_text()
    update(page, training(messages=[], samples=training()["samples"][1:], checkpoints=[]))
    assert page.locator(".ftn-samples tbody tr").count() == 1 and page.locator("[role=log] > *").count() == 0


def test_three_hundred_updates_leave_no_node_and_no_memory_behind(page: Any) -> None:
    draw(page, training(series=series(4000, every=10), steps=8000))
    devtools = page.context.new_cdp_session(page)
    run = """async (count) => { for (let i = 0; i < count; i++) {
        const state = structuredClone(source.state); state.step += 1; state.tag = `${i}-x`;
        state.series.loss[i % 400] += 0.01; state.samples[0].answers.at(-1).text = `Technical issue ${i}`;
        source.change({state}); await new Promise(requestAnimationFrame); } }"""

    def measured() -> tuple[int, int]:
        for _ in range(3):
            devtools.send("HeapProfiler.collectGarbage")
        return int(page.evaluate("document.querySelectorAll('*').length")), int(devtools.send("Runtime.getHeapUsage")["usedSize"])

    page.evaluate(run, 40)
    nodes, heap = measured()
    page.evaluate(run, 300)
    nodes_after, heap_after = measured()
    assert page.evaluate("source.draws") >= 300
    assert nodes_after <= nodes + 2
    assert heap_after - heap < 400_000, f"{heap} -> {heap_after} bytes"


def test_hostile_strings_are_text_in_every_slot(page: Any) -> None:
    state = training(error=failed()["error"], report=finished()["report"], comparing={"contender": "base", "done": 1, "total": 2},
                     advice="a", notice="n", detail="d", doing="d")
    state["messages"][0]["rows"] = ["row"]
    draw(page, state)
    assert len(HOSTILE) == len(set(HOSTILE)) == 150
    wrong = page.evaluate("""async ([strings, state]) => {
      const wrong = [], tags = () => [...document.querySelectorAll("#out *")].map((e) => e.localName).filter((n) => !["ins", "del"].includes(n)).sort().join();
      const slots = [".ftn-top b", ".ftn-chip", ".ftn-subject", ".ftn-samples td", ".ftn-samples td:nth-child(2)", ".ftn-samples td:last-child", ".ftn-folds pre", ".ftn-folds td",
        ".ftn-message b", ".ftn-message li", "[role=log] b", "[role=log] b + span", ".ftn-report td", ".ftn-report th", ".ftn-verdict", "details pre"];
      await settled();
      const before = tags();
      for (const text of strings) {
        source.change({state: JSON.parse(JSON.stringify(state), (key, value) => (typeof value === "string" ? text : value))});
        await settled();
        for (const slot of slots) {
          const seen = document.querySelector(`#out ${slot}`).textContent;
          if (seen !== text) wrong.push([slot, text, seen]);
        }
        if (tags() !== before) wrong.push(["tags", text]);
        if (document.querySelector("#out :is(script, iframe, object, embed, img, a, form, style, meta, base, link)")) wrong.push(["element", text]);
        if (window.__pwned || {}.polluted) wrong.push(["ran", text]);
        if (document.body.innerText.includes("[native code]")) wrong.push(["prototype", text]);
        if (document.documentElement.scrollWidth > innerWidth) wrong.push(["wide", text]);
      }
      return wrong;
    }""", [HOSTILE, state])
    assert wrong == []
    update(page, {**preparing(), "state": "constructor", "detail": ""})
    assert "[native code]" not in page.locator(".ftn-live").inner_text()


def test_everything_can_be_done_by_keyboard_alone(page: Any) -> None:
    draw(page, training())
    page.evaluate("window.heard = []; document.addEventListener('keydown', (event) => heard.push(event.key))")
    focused = "document.activeElement.matches('.ftn-chart') ? 'chart' : document.activeElement.labels?.[0]?.textContent.trim() || document.activeElement.textContent"
    press = page.keyboard.press

    def tab_to(name: str) -> None:
        press("Tab")
        assert page.evaluate(focused) == name

    tab_to("Pause")
    press("Enter")
    page.evaluate("settled()")
    assert "It was asked to pause." in page.locator(".ftn-said").inner_text()
    paused = training(state="paused", can={**training()["can"], "pause": False, "resume": True})
    update(page, paused)
    assert page.evaluate(focused) == "Resume"
    press("Space")
    update(page, training())
    tab_to("Checkpoint")
    press("Enter")
    tab_to("Stop and keep")
    press("Enter")
    tab_to("More")
    press("Enter")
    tab_to("Stop and discard")
    press("Enter")
    tab_to("Change…")
    press("Shift+Tab")
    assert page.evaluate(focused) == "Stop and discard", "going on disarms it"
    press("Enter")
    assert page.evaluate(focused) == "Press again to discard"
    press("Enter")
    tab_to("Change…")
    press("Enter")
    tab_to("epochs")
    page.keyboard.type("4.5")
    tab_to("evaluate every … steps")
    page.keyboard.type("20")
    press("Enter")
    tab_to("Apply")
    for name in ["chart", "log axis", "raw values"]:
        tab_to(name)
    page.keyboard.press("Space")
    page.evaluate("settled()")
    assert page.get_by_role("button", name="raw values").get_attribute("aria-pressed") == "false"
    tab_to("The data in numbers")
    tab_to("Recipe")
    press("Enter")
    assert page.locator(".ftn-folds pre").is_visible()
    assert page.evaluate("source.asks") == [
        ["pause", {}], ["resume", {}], ["checkpoint", {}], ["stop", {"keep": True}], ["stop", {"keep": False}],
        ["change", {"epochs": 4.5, "evaluate_every": 20}]]
    assert set(page.evaluate("heard")) <= {"Tab", "Shift"}, "JupyterLab hears none of the keys that the view uses"


def test_a_button_says_why_it_could_not_and_is_not_pressed_twice(page: Any) -> None:
    draw(page, training())
    page.evaluate("""() => {
      source.answer = () => new Promise((resolve, reject) => { window.refuse = () => reject(new Error("The run is over")); });
    }""")
    pause = page.get_by_role("button", name="Pause")
    pause.click()
    page.keyboard.press("Enter")
    assert page.evaluate("source.asks.length") == 1 and pause.get_attribute("aria-disabled") == "true"
    page.evaluate("refuse()")
    page.evaluate("settled()")
    assert page.locator(".ftn-said").inner_text() == "The run is over." and pause.get_attribute("aria-disabled") is None
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="Change…").click()
    page.get_by_label("epochs").fill("-1")
    page.get_by_role("button", name="Apply").click()
    assert "must be a number above 0" in page.locator(".ftn-said").inner_text() and page.evaluate("source.asks.length") == 1


def test_the_chart_is_read_and_zoomed_by_keys(page: Any) -> None:
    draw(page, training())
    chart = page.locator(".ftn-chart")
    assert chart.get_attribute("aria-label").startswith("Losses; train from 3.09 to 0.662 by step 179; held out 0.982 at step 168; best 0.895 at step 120.")
    chart.focus()
    page.keyboard.press("ArrowLeft")
    assert reading(page).startswith("step 179 · train 0.") and "learning rate" in reading(page)
    for _ in range(11):
        page.keyboard.press("ArrowLeft")
    assert reading(page).startswith("step 168 · train ") and "held out 0.982" in reading(page)
    whole = steps_shown(page)
    page.keyboard.press("+")
    assert min(steps_shown(page)) >= 100 and max(steps_shown(page)) <= 240
    page.keyboard.press("-")
    assert steps_shown(page) == whole
    page.keyboard.press("+")
    page.keyboard.press("+")
    assert steps_shown(page) != whole
    page.keyboard.press("0")
    assert steps_shown(page) == whole
    page.keyboard.press("Home")
    assert reading(page) == "step 0 · held out 3.08"


def test_the_chart_is_read_and_zoomed_by_mouse(page: Any) -> None:
    draw(page, training())
    box = page.locator(".ftn-chart").bounding_box()
    left, wide = box["x"] + 48, box["width"] - 152
    at = lambda step: (left + wide * step / 240, box["y"] + 100)    # noqa: E731
    page.mouse.move(*at(60))
    assert reading(page).startswith("step 60 · train ")
    whole = steps_shown(page)
    page.mouse.down()
    page.mouse.move(*at(120), steps=4)
    page.mouse.up()
    assert min(steps_shown(page)) >= 60 and max(steps_shown(page)) <= 120 and len(steps_shown(page)) > 2
    page.get_by_role("button", name="whole run").click()
    assert steps_shown(page) == whole
    page.mouse.move(*at(60))
    page.mouse.down()
    page.mouse.move(*at(120), steps=4)
    page.mouse.up()
    assert steps_shown(page) != whole
    page.mouse.dblclick(*at(100))
    assert steps_shown(page) == whole


def test_outliers_are_cut_with_a_mark_and_what_is_not_finite_leaves_a_gap(page: Any) -> None:
    state = training()
    draw(page, state)
    path = lambda name: page.locator(f".ftn-losses .ftn-chart .ftn-{name}").get_attribute("d") or ""    # noqa: E731
    assert path("raw").count("M") == 1 and path("cut") == ""
    ticks = page.locator(".ftn-chart > g > text[text-anchor=end]").all_text_contents()
    state["series"]["loss"][100], state["series"]["grad_norm"][50] = 60.0, 900.0
    state["series"]["loss"][30:33] = [None] * 3
    update(page, state)
    assert path("raw").count("M") == 2 and path("cut").count("M") == 1
    assert page.locator(".ftn-chart .ftn-cut title").text_content() == "1 off the scale, above 3.09; the highest is 60"
    assert page.locator(".ftn-small .ftn-cut[d^=M]").count() == 1
    assert page.locator(".ftn-chart > g > text[text-anchor=end]").all_text_contents() == ticks
    page.get_by_role("button", name="log axis").click()
    page.evaluate("settled()")
    assert page.locator(".ftn-chart > g > text[text-anchor=end]").all_text_contents() == ["0.5", "1", "2"]
    assert page.evaluate(FAULTS) == []


def test_the_server_source_asks_with_its_tag_keeps_what_it_has_and_stops_at_the_end(page: Any, server: LiveServer) -> None:
    server.asked, server.posted = [], []
    server.answers = [(200, training()), (204, None), (204, None), (500, {}), (200, finished())]
    page.evaluate("""() => { window.source = live.serverSource({base: live.serverBase(), runId: "run-1", intervalMs: 20});
                             window.leave = live.mount(document.getElementById("out"), source); }""")
    page.get_by_role("status").get_by_text("finished").wait_for()
    page.wait_for_timeout(300)
    assert server.asked == ["", "179-training", "179-training", "179-training", "179-training"], "and none after the end"
    assert page.evaluate("source.ask('pause')") == "It pauses after this step."
    assert page.evaluate("source.ask('stop', {keep: false}).catch((problem) => problem.message)") == "The run is over."
    assert server.posted == [({"kind": "pause", "values": {}}, "2|abc|def"), ({"kind": "stop", "values": {"keep": False}}, "2|abc|def")]
    page.evaluate("leave()")


def test_the_server_source_shows_the_snapshot_where_the_run_is_not_known(page: Any, server: LiveServer) -> None:
    server.asked, server.answers = [], [(404, {"message": "no such run"})]
    page.evaluate("""(snapshot) => { const source = live.serverSource({base: live.serverBase(), runId: "run-1", snapshot, intervalMs: 20});
                     window.leave = live.mount(document.getElementById("out"), source); }""", training())
    page.get_by_text("This server has no such run.").wait_for()
    page.wait_for_timeout(200)
    assert "179 / 240" in page.locator(".ftn-live").inner_text() and len(server.asked) == 1
    page.evaluate("leave()")


def test_the_server_source_waits_longer_after_failures_and_catches_up_when_seen(page: Any) -> None:
    stop_clock(page)
    page.evaluate("""(state) => {
      window.calls = []; window.hidden = false; window.isBroken = true; window.isSlow = false; window.open = 0; window.most = 0;
      Object.defineProperty(document, "hidden", { get: () => hidden });
      window.fetch = async (url, { signal }) => {
        calls.push(Date.now());
        most = Math.max(most, ++open);
        signal.addEventListener("abort", () => { open -= isSlow; });
        if (isSlow) await new Promise((_, fail) => signal.addEventListener("abort", () => fail(signal.reason)));
        open -= 1;
        if (isBroken) throw new TypeError("no network");
        return new Response(JSON.stringify(state));
      };
      window.source = live.serverSource({ base: "/", runId: "run-1" });
      window.leave = source.subscribe(() => {});
    }""", training())
    page.clock.run_for(30_000)
    calls = page.evaluate("calls")
    gaps = [later - sooner for sooner, later in itertools.pairwise(calls)]
    assert gaps[:5] == [1000, 2000, 4000, 5000, 5000] and page.evaluate("source.link") == "lost"
    page.evaluate("() => { isBroken = false; hidden = true; calls.length = 0; }")
    page.clock.run_for(20_000)
    assert 3 <= page.evaluate("calls.length") <= 5 and page.evaluate("source.link") == "live"
    page.evaluate("() => { hidden = false; calls.length = 0; document.dispatchEvent(new Event('visibilitychange')); }")
    assert page.evaluate("calls.length") == 1, "at once"
    page.clock.run_for(5_000)
    assert 8 <= page.evaluate("calls.length") <= 11 and page.evaluate("most") == 1
    page.evaluate("() => { isSlow = true; }")
    page.clock.run_for(1_000)
    assert page.evaluate("open") == 1
    page.evaluate("() => { document.dispatchEvent(new Event('visibilitychange')); }")
    assert (page.evaluate("open"), page.evaluate("most")) == (1, 1), "the request before is given up"
    page.evaluate("() => { leave(); calls.length = 0; document.dispatchEvent(new Event('visibilitychange')); }")
    page.clock.run_for(20_000)
    assert page.evaluate("calls.length") == 0


FAKE_MODEL = """(state) => {
  const heard = {};
  window.model = {
    values: {state, run_id: "run-1"}, sent: [], heard, get: (name) => model.values[name], send: (message) => model.sent.push(message),
    on(name, listener) { (heard[name] ??= new Set()).add(listener); }, off(name, listener) { heard[name]?.delete(listener); },
    emit(name, ...values) { for (const listener of heard[name] ?? []) listener(...values); },
  };
}"""


def test_the_model_source_asks_by_message_and_says_when_the_kernel_is_busy(page: Any) -> None:
    stop_clock(page)
    page.evaluate(FAKE_MODEL, training())
    page.evaluate("() => { window.leave = live.default.render({model, el: document.getElementById('out')}); }")
    page.get_by_role("button", name="Pause").dispatch_event("click")
    sent = page.evaluate("model.sent[0]")
    assert (sent["type"], sent["kind"], sent["values"]) == ("ask", "pause", {})
    page.clock.run_for(1_900)
    assert "busy" not in page.locator(".ftn-live").inner_text()
    page.clock.run_for(300)
    assert "The kernel is busy with a cell; it answers when that ends." in page.locator(".ftn-live").inner_text()
    page.evaluate("model.emit('msg:custom', {type: 'said', id: model.sent[0].id, ok: true, text: 'It pauses after this step.'})")
    page.clock.run_for(100)
    said = page.locator(".ftn-live").inner_text()
    assert "It pauses after this step." in said and "busy" not in said
    page.evaluate("(state) => { model.values.state = state; model.emit('change:state'); }", training(step=180))
    page.clock.run_for(100)
    assert "180 / 240" in page.locator(".ftn-live").inner_text()
    page.evaluate("model.emit('comm:close')")
    page.clock.run_for(100)
    assert "%attach triage" in page.locator(".ftn-live").inner_text()
    page.evaluate("leave()")
    assert page.evaluate("Object.values(model.heard).reduce((sum, each) => sum + each.size, 0)") == 0


@pytest.mark.parametrize(("is_ours", "status", "front"), [(True, 200, "server"), (True, 204, "server"), (True, 404, "widget"), (False, 200, "widget")])
def test_the_widget_says_whether_the_page_shows_the_run_by_itself(is_ours: bool, status: int, front: str, page: Any, server: LiveServer) -> None:
    server.answers = [(status, training() if status == 200 else {})]
    page.evaluate(FAKE_MODEL, None)
    page.evaluate("(is) => { globalThis.ftNotebookRenderer = is; return live.default.initialize({model}); }", is_ours)
    assert page.evaluate("model.sent") == [{"type": "hello", "front": front}]
