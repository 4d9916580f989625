"""Cards: a run, a plan and a list of runs as elements. All markup comes from `render`."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ft_notebook.events import MessageEvent, PlanEvent, SampleEvent
from ft_notebook.notebook.drawing.curve import loss_curve, spark
from ft_notebook.notebook.plain import NO_RUNS, RUNS_HEAD, examples_named, run_cells, standing
from ft_notebook.notebook.render import Html, card, details, join, marked_difference, scrolled, table, tag
from ft_notebook.notebook.runs_table import RunRow
from ft_notebook.views.facts import (
    STATE_WORDS,
    RunFacts,
    numbers_of,
    plan_rows,
    result_rows,
    share_done,
)
from ft_notebook.views.run_view import RunView

if TYPE_CHECKING:
    from ft_notebook.evaluate.report import ExampleResult, Report

_MESSAGES_SHOWN = 6
_EXAMPLES_SHOWN = 3         # each way; the report holds all of them
_NEWEST_ANSWERS = 2         # besides the first
_LONGEST_TEXT = 600
_LONGEST_RECIPE = 8000
_BREAKS = re.compile(r"\s*\n\s*")     # a rambling answer stays a few lines high
_SIGNS = {"info": "●", "warning": "▲", "error": "■"}


def run_card(facts: RunFacts, *, now: float | None = None) -> Html:
    """A run with all that is known of it; the same while it lives and in a notebook saved long ago."""
    view = facts.view
    now = time.time() if now is None else now
    parts: list[object] = [*_head(facts), _sub(standing(view, now=now))]
    if not view.is_over and (share := share_done(view)) is not None:
        parts.append(tag("progress", value=f"{share:.4f}", max=1, aria_label="share of the steps done"))
    parts.append(_error(facts))
    if facts.report is not None:
        parts.append(_verdict(facts.report))
    parts.append(_numbers(view, now=now))
    if facts.report is not None:
        parts += _results(facts.report)
    parts += [_messages(view), loss_curve(view)]
    if facts.report is not None:
        parts += _changed(facts.report)
    samples = _samples(view)
    if samples is not None:
        parts.append(samples if facts.report is None else details("Answers to the fixed prompts over time", samples))
    if view.plan is not None:
        rows: list[list[object]] = [[tag("b", label), figure] for label, figure in plan_rows(view.plan)]
        parts.append(details("The data in numbers", table(["what", "how much"], rows)))
    if facts.recipe_text:
        parts.append(details("Recipe", tag("pre", _cut_lines(facts.recipe_text))))
    parts.append(_sub(facts.advice))
    return card(*(part for part in parts if part is not None), label=f"run {facts.name}")


def progress_card(facts: RunFacts) -> Html:
    """A living run in a line with a bar, cheap enough to be sent twice a second."""
    view, now = facts.view, time.time()
    share = share_done(view)
    parts: list[object] = [*_head(facts), tag("progress", value=None if share is None else f"{share:.4f}", max=1,
                                              aria_label="share of the steps done")]
    parts += [_error(facts), _numbers(view, now=now), _messages(view)]
    parts.append(tag("p", time.strftime("As of %H:%M:%S on %Y-%m-%d.", time.localtime(now)), class_="ftn-sub"))
    return card(*(part for part in parts if part is not None), label=f"run {facts.name}")


def plan_card(plan: PlanEvent, *, name: str) -> Html:
    """What a run would do, without doing it."""
    rows: list[list[object]] = [[tag("b", label), figure] for label, figure in plan_rows(plan)]
    notes = [tag("p", note, class_="ftn-sub") for note in plan.notes]
    return card(tag("div", tag("b", f"Plan of {name}"), " nothing was trained", class_="ftn-head"),
                table(["what", "how much"], rows), *notes, label=f"plan of {name}")


def runs_card(rows: Sequence[RunRow], *, notes: Sequence[str] = (), problems: Sequence[str] = ()) -> Html:
    """Runs newest first, each with a small curve; `problems` are sentences on what cannot be listed."""
    said = [tag("p", note, class_="ftn-sub") for note in notes]
    said += [_said("warning", tag("span", problem)) for problem in problems]
    if not rows:
        return card(tag("p", NO_RUNS), *said, label="runs")
    shown = table([*RUNS_HEAD, "curve"], [_run_row(row) for row in rows], numeric=frozenset({4, 5, 6}))
    return card(scrolled(shown, label="table of runs"), *said, label="runs")


def tokens_card(title: str, tokens: Sequence[tuple[str, bool]]) -> Html:
    """An example as the model sees it; trained tokens are bold, coloured and underlined."""
    shown = [tag("b" if is_trained else "span", text.replace("\n", "↵\n"), class_="ftn-tok")
             for text, is_trained in tokens]
    return card(tag("div", title, class_="ftn-head ftn-sub"), tag("p", *shown, class_="ftn-tokens"), label=title)


def _run_row(row: RunRow) -> list[object]:
    name, state, created, progress, *losses = run_cells(row)
    curve: object = tag("span", row.problem, class_="ftn-sub") if row.problem else spark(row.losses)
    chip = tag("span", state, class_=f"ftn-chip ftn-is-{_state_class(state)}")
    return [tag("b", name), chip, _unbroken(created), _unbroken(progress), *losses, curve]


def _unbroken(words: str) -> Html:
    return tag("span", words, class_="ftn-n")


def _state_class(state: str) -> str:
    return state if state in STATE_WORDS else "failed"


def _head(facts: RunFacts) -> list[object]:
    state = STATE_WORDS[facts.view.state].split(":")[0]
    chip = tag("span", state, class_=f"ftn-chip ftn-is-{facts.view.state}", role="status")
    head = tag("div", tag("b", facts.name), " ", chip, " ", tag("span", facts.subject, class_="ftn-sub"),
               class_="ftn-head")
    return [head, _sub(facts.notice)]


def _sub(words: str) -> Html | None:
    return tag("p", words, class_="ftn-sub") if words else None


def _numbers(view: RunView, *, now: float) -> Html | None:
    numbers = numbers_of(view, now=now)
    if not numbers:
        return None if view.is_over else tag(
            "p", "No step yet: the model is loaded and the data encoded first.", class_="ftn-sub")
    if view.state == "evaluating" and view.comparing:
        numbers.append((f"comparing: {view.comparing.contender}", f"{view.comparing.done} / {view.comparing.total}"))
    if view.is_over:
        numbers = [("in all" if label == "so far" else label, figure) for label, figure in numbers]
    head = tag("tr", *(tag("th", label, scope="col") for label, _ in numbers))
    body = tag("tr", *(tag("td", figure) for _, figure in numbers))
    return scrolled(tag("table", tag("thead", head), tag("tbody", body), class_="ftn-stats"), label="figures")


def _messages(view: RunView) -> Html | None:
    shown = view.messages[-_MESSAGES_SHOWN:]
    said: list[object] = []
    if len(shown) < len(view.messages):
        earlier = len(view.messages) - len(shown)
        said.append(_sub(f"{earlier:,} earlier ones are left out." if earlier > 1 else "An earlier one is left out."))
    said += [_message(message) for message in shown]
    return join(*said) if said else None


def _message(message: MessageEvent) -> Html:
    words: list[object] = [tag("b", message.title), " "] if message.title else []
    named = examples_named(message.example_ids)
    return _said(message.level, *words, message.text, f" {named}" if named else "")


def _error(facts: RunFacts) -> Html | None:
    said: list[object] = []
    error = facts.view.error
    if error is not None:
        named = examples_named(error.example_ids)
        said.append(_said("error", tag("b", f"{error.kind}: "), error.text, f" {named}" if named else ""))
    if facts.log_tail:
        said.append(details("The end of the worker's output", tag("pre", facts.log_tail)))
    return join(*said) if said else None


def _said(level: str, *words: object) -> Html:
    """A message with its sign. The space behind the sign is for pages without our style."""
    return tag("p", tag("b", _SIGNS[level], aria_hidden="true"), " ", tag("span", *words), class_=f"ftn-{level}")


def _samples(view: RunView) -> Html | None:
    """The fixed prompts, each with its first answer and its newest ones, and what changed between those."""
    answers: dict[int, list[SampleEvent]] = {}
    for sample in view.samples:
        answers.setdefault(sample.prompt_index, []).append(sample)
    if not answers:
        return None
    steps = sorted({sample.step for sample in view.samples})
    shown = [*steps[:1], *steps[1:][-_NEWEST_ANSWERS:]]
    rows = [_answers_over_time(given, shown) for _, given in sorted(answers.items())]
    head = ["before training" if step == 0 else f"step {step:,}" for step in shown]
    return table(["prompt", "reference", *head], rows)


def _answers_over_time(given: Sequence[SampleEvent], steps: Sequence[int]) -> list[object]:
    at = {sample.step: _cut(sample.answer) for sample in given}
    cells: list[object] = [at.get(step, "–") for step in steps]
    if len(steps) > 1 and steps[-2] in at and steps[-1] in at:
        cells[-2:] = marked_difference(at[steps[-2]], at[steps[-1]])
    return [_cut(given[0].prompt), _cut(given[0].reference), *cells]


def _verdict(report: Report) -> Html:
    is_noise = report.verdict_kind in {"noise", "nothing_measured"}
    kind = "ftn-verdict ftn-bad" if report.verdict_kind == "worse" else (
        "ftn-verdict ftn-noise" if is_noise else "ftn-verdict")
    return tag("p", report.verdict, class_=kind)


def _results(report: Report) -> list[object]:
    rows: list[list[object]] = [list(row) for row in result_rows(report)]
    parts: list[object] = [tag("p", note, class_="ftn-sub") for note in report.notes]
    if rows:
        parts.append(table(["on the same held-out examples (95 % interval)", "base", "tuned", "difference"], rows))
    return parts


def _changed(report: Report) -> list[object]:
    return [_examples(heading, examples[:_EXAMPLES_SHOWN])
            for heading, examples in (("changed most for the better", report.improved),
                                      ("changed most for the worse", report.worsened)) if examples]


def _examples(heading: str, examples: Sequence[ExampleResult]) -> Html:
    rows: list[list[object]] = []
    for example in examples:
        base, tuned = _answers(example)
        rows.append([str(example.row), _cut(example.prompt), _cut(example.reference or ""), base, tuned])
    return table(["row", heading, "reference", "base", "tuned"], rows, numeric=frozenset({0}))


def _answers(example: ExampleResult) -> tuple[object, object]:
    if example.base_answer is not None and example.tuned_answer is not None:
        return marked_difference(_cut(example.base_answer), _cut(example.tuned_answer))
    losses = [f"loss {loss:.3g}" if loss is not None else "" for loss in (example.base_loss, example.tuned_loss)]
    return losses[0], losses[1]


def _cut(text: str) -> str:
    text = _BREAKS.sub(" ↵ ", text.strip())
    return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + f" … ({len(text):,} characters)"


def _cut_lines(text: str) -> str:
    return text if len(text) <= _LONGEST_RECIPE else text[:_LONGEST_RECIPE] + f"\n… ({len(text):,} characters)"
