"""Cards: a run, a plan and a list of runs as elements. All markup comes from `render`."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ft_notebook.evaluate.verdict import title
from ft_notebook.events import PlanEvent
from ft_notebook.notebook.curve import loss_curve
from ft_notebook.notebook.render import Html, card, join, marked_difference, table, tag
from ft_notebook.views.facts import (
    STATE_WORDS,
    RunFacts,
    change,
    numbers_of,
    plan_rows,
    results_of,
    share_done,
    with_interval,
)
from ft_notebook.views.run_view import RunView

if TYPE_CHECKING:
    from ft_notebook.evaluate.report import ExampleResult, Report

_MESSAGES_SHOWN = 4
_EXAMPLES_SHOWN = 3         # each way; the report holds all of them
_LONGEST_TEXT = 600
_BREAKS = re.compile(r"\s*\n\s*")     # a rambling answer stays a few lines high
_SIGNS = {"info": "●", "warning": "▲", "error": "■"}


def run_card(facts: RunFacts) -> Html:
    """A run with all that is known of it; the same while it lives and in a notebook saved long ago."""
    view = facts.view
    parts: list[object] = [_head(facts)]
    if facts.notice:
        parts.append(tag("p", facts.notice, class_="ftn-sub"))
    if not view.is_over and (share := share_done(view)) is not None:
        parts.append(tag("progress", value=f"{share:.4f}", max=1, aria_label="share of the steps done"))
    parts += [_numbers(view), _messages(facts)]
    if facts.report is not None:
        parts += _report(facts.report)
    parts.append(loss_curve(view))
    if facts.report is None:
        parts.append(_samples(view))
    if facts.advice:
        parts.append(tag("p", facts.advice, class_="ftn-sub"))
    return card(*(part for part in parts if part is not None), label=f"run {facts.name}")


def progress_card(facts: RunFacts) -> Html:
    """A living run in a line with a bar, cheap enough to be sent twice a second."""
    view = facts.view
    parts: list[object] = [_head(facts)]
    if facts.notice:
        parts.append(tag("p", facts.notice, class_="ftn-sub"))
    share = share_done(view)
    parts.append(tag("progress", value=None if share is None else f"{share:.4f}", max=1,
                     aria_label="share of the steps done"))
    parts += [_numbers(view), _messages(facts)]
    return card(*(part for part in parts if part is not None), label=f"run {facts.name}")


def plan_card(plan: PlanEvent, *, name: str) -> Html:
    """What a run would do, without doing it."""
    rows: list[list[object]] = [[tag("b", label), figure] for label, figure in plan_rows(plan)]
    notes = [tag("p", note, class_="ftn-sub") for note in plan.notes]
    return card(tag("div", tag("b", f"Plan of {name}"), " nothing was trained", class_="ftn-head"),
                table(["what", "how much"], rows), *notes, label=f"plan of {name}")


def runs_card(rows: Sequence[tuple[str, str, str, str]]) -> Html:
    """Runs as name, state, when and how far, newest first."""
    if not rows:
        return card(tag("p", "No runs yet. A %%finetune cell starts one."), label="runs")
    return card(table(["run", "state", "created", "progress"], [list(row) for row in rows]), label="runs")


def tokens_card(title: str, tokens: Sequence[tuple[str, bool]]) -> Html:
    """An example as the model sees it; trained tokens are bold, coloured and underlined."""
    shown = [tag("b" if is_trained else "span", text.replace("\n", "↵\n"), class_="ftn-tok")
             for text, is_trained in tokens]
    return card(tag("div", title, class_="ftn-head ftn-sub"), tag("p", *shown, class_="ftn-tokens"), label=title)


def _head(facts: RunFacts) -> Html:
    state = STATE_WORDS[facts.view.state].split(":")[0]
    return tag("div", tag("b", facts.name), " ", tag("span", state, class_="ftn-chip", role="status"), " ",
               tag("span", facts.subject, class_="ftn-sub"), class_="ftn-head")


def _numbers(view: RunView) -> Html | None:
    numbers = numbers_of(view, now=time.time())
    if not numbers:
        return tag("p", "No step yet: the model is loaded and the data encoded first.", class_="ftn-sub")
    if view.state == "evaluating" and view.comparing:
        numbers.append((f"comparing: {view.comparing.contender}", f"{view.comparing.done} / {view.comparing.total}"))
    head = tag("tr", *(tag("th", label) for label, _ in numbers))
    return tag("table", tag("thead", head), tag("tbody", tag("tr", *(tag("td", figure) for _, figure in numbers))),
               class_="ftn-stats")


def _messages(facts: RunFacts) -> Html | None:
    view = facts.view
    shown: list[Html] = [
        tag("p", tag("b", _SIGNS[message.level], aria_hidden="true"), " ", message.text,
            class_=f"ftn-{message.level}")
        for message in view.messages[-_MESSAGES_SHOWN:]]
    if view.error is not None:
        shown.append(tag("p", tag("b", _SIGNS["error"], aria_hidden="true"), " ",
                         tag("b", f"{view.error.kind}: "), view.error.text, class_="ftn-error"))
        if view.error.example_ids:
            shown.append(tag("p", "Examples: " + ", ".join(view.error.example_ids[:10]), class_="ftn-error"))
    if facts.log_tail:
        shown.append(tag("details", tag("summary", "the end of the worker's output"), tag("pre", facts.log_tail)))
    return join(*shown) if shown else None


def _samples(view: RunView) -> Html | None:
    newest = view.last_samples()
    if not newest:
        return None
    first = {sample.prompt_index: sample for sample in reversed(view.samples)}
    rows: list[list[object]] = []
    for sample in newest:
        before = first[sample.prompt_index]
        answer = _cut(sample.answer)
        marked = marked_difference(_cut(sample.reference), answer)[1] if sample.reference else answer
        rows.append([_cut(sample.prompt), _cut(sample.reference), _cut(before.answer), marked])
    head = ["prompt", "reference", f"step {view.samples[0].step}", f"step {newest[0].step}, marked where it differs"]
    return table(head, rows)


def _report(report: Report) -> list[object]:
    is_noise = report.verdict_kind in {"noise", "nothing_measured"}
    kind = "ftn-error" if report.verdict_kind == "worse" else "ftn-verdict ftn-noise" if is_noise else "ftn-verdict"
    rows: list[list[object]] = [
        [title(result.name), with_interval(result, result.base, result.base_low, result.base_high),
         with_interval(result, result.tuned, result.tuned_low, result.tuned_high), change(result)]
        for result in results_of(report)]
    parts: list[object] = [tag("p", report.verdict, class_=kind)]
    parts += [tag("p", note, class_="ftn-sub") for note in report.notes]
    if rows:
        parts.append(table(["on the same held-out examples (95 % interval)", "base", "tuned", "difference"], rows))
    for heading, examples in (("changed most for the better", report.improved),
                              ("changed most for the worse", report.worsened)):
        if examples:
            parts.append(_examples(heading, examples[:_EXAMPLES_SHOWN]))
    return parts


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
