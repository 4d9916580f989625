"""A run as one small JSON object: what the live view draws, whoever sends it.

Below 50 kB however long the run: curves are thinned to some hundred points, texts and lists are cut.
Every text was made visible; a page must show texts as texts all the same.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ft_notebook.events import EvaluationEvent, MessageEvent, SampleEvent
from ft_notebook.recipe.schema import Recipe
from ft_notebook.train.changes import CHANGEABLE, holding
from ft_notebook.views.facts import (
    STATE_WORDS,
    RunFacts,
    plan_rows,
    result_rows,
    variable_of,
)
from ft_notebook.views.run_view import RunView
from ft_notebook.views.series import curves
from ft_notebook.views.text import visible

if TYPE_CHECKING:
    from ft_notebook.evaluate.report import Report

LIVE_MIME = "application/vnd.ft-notebook.live+json"
VERSION = 1

_MOST_POINTS = 300
_MOST_EVALUATIONS = 60
_MOST_CHECKPOINTS = 60
_MOST_MESSAGES = 6
_MOST_ROWS = 8              # examples named in a message
_MOST_SAMPLES = 5
_MOST_RESULTS = 8
_NEWEST_ANSWERS = 2         # besides the first
# Bytes of JSON that a text may take.
_SHORT, _LINE, _PARAGRAPH, _TEXT = 60, 160, 500, 3000
_SAMPLE = 300


def live_state(facts: RunFacts, *, now: float) -> dict[str, Any]:
    """What is known of a run; `now` in seconds since the epoch. See the module for its size."""
    view = facts.view
    return {
        "v": VERSION, "tag": tag_of(view), "time": round(now, 2),
        "run": {"id": _cut(facts.run_id, _LINE), "name": _cut(facts.name, _LINE),
                "variable": _cut(variable_of(facts.name), _LINE), "subject": _cut(facts.subject, _PARAGRAPH)},
        "state": view.state, "doing": STATE_WORDS[view.state], "detail": _cut(view.detail, _LINE),
        "is_over": view.is_over,
        **_figures(view, now),
        "series": curves(view.steps, most_points=_MOST_POINTS),
        "evaluations": [{"step": done.step, "loss": _number(done.loss)} for done in _thinned(view)],
        "best": None if (best := view.best_evaluation) is None else {"step": best.step, "loss": _number(best.loss)},
        "checkpoints": [kept.step for kept in view.checkpoints[-_MOST_CHECKPOINTS:]],
        "messages": [_message(said) for said in view.messages[-_MOST_MESSAGES:]],
        "samples": _samples(view.samples),
        "data": [[label, _cut(figure, _LINE)] for label, figure in plan_rows(view.plan)] if view.plan else [],
        "recipe": _cut(facts.recipe_text, _TEXT),
        "comparing": None if (at := view.comparing) is None or view.state != "evaluating" else
        {"contender": _cut(at.contender, _SHORT), "done": at.done, "total": at.total},
        "report": None if facts.report is None else _report(facts.report),
        "error": _error(facts),
        "advice": _cut(facts.advice, _PARAGRAPH), "notice": _cut(facts.notice, _PARAGRAPH),
        "can": _can(view),
        "change": _holding(facts.recipe, view),
    }


def kept_state(facts: RunFacts, *, now: float) -> dict[str, Any]:
    """The state as an output of a notebook keeps it: with the run that it is of, for a page that can ask for more."""
    return {"v": VERSION, "run_id": facts.run_id, "state": live_state(facts, now=now)}


def tag_of(view: RunView) -> str:
    """Differs where the state of two moments differs; equal tags mean nothing new."""
    return f"{view.seq}-{view.state}"


def _figures(view: RunView, now: float) -> dict[str, Any]:
    last = view.steps[-1] if view.steps else None
    plan = view.plan
    left, speed = view.remaining_s, view.tokens_per_s
    peak = view.steps.peak_memory_bytes
    return {
        "step": view.step, "steps": view.total_steps,
        "epoch": _number(last.epoch) if last else 0.0, "epochs": _number(plan.epochs) if plan else None,
        "tokens": view.steps.tokens,
        "tokens_planned": round(plan.total_tokens * plan.epochs) if plan else None,
        "left_s": round(left, 1) if left is not None and view.state in {"training", "paused"} else None,
        "so_far_s": round((view.last_time if view.is_over else now) - view.first_time, 1) if view.first_time else 0.0,
        "tokens_per_s": _number(speed) if speed is not None else None,
        "memory": {"peak_bytes": peak, "planned_bytes": plan.memory_expected_bytes if plan else None,
                   "high_bytes": plan.memory_high_bytes if plan else None} if peak else None,
    }


def _thinned(view: RunView) -> list[EvaluationEvent]:
    """The first, the best, the last, and as many between them as there is room for."""
    done = view.evaluations
    if len(done) <= _MOST_EVALUATIONS:
        return done
    stride = (len(done) - 1) / (_MOST_EVALUATIONS - 2)
    chosen = {round(index * stride): done[round(index * stride)] for index in range(_MOST_EVALUATIONS - 1)}
    best = view.best_evaluation
    if best is not None:
        chosen[done.index(best)] = best
    return [chosen[index] for index in sorted(chosen)]


def _message(said: MessageEvent) -> dict[str, Any]:
    return {"level": said.level, "title": _cut(said.title, _LINE), "text": _cut(said.text, _PARAGRAPH),
            "step": said.step, "rows": [_cut(row, _SHORT) for row in said.example_ids[:_MOST_ROWS]]}


def _samples(samples: Sequence[SampleEvent]) -> list[dict[str, Any]]:
    answers: dict[int, list[SampleEvent]] = {}
    for sample in samples:
        answers.setdefault(sample.prompt_index, []).append(sample)
    return [{
        "prompt": _cut(given[0].prompt, _SAMPLE), "reference": _cut(given[0].reference, _SAMPLE),
        "answers": [{"step": each.step, "text": _cut(each.answer, _SAMPLE)}
                    for each in [given[0], *given[1:][-_NEWEST_ANSWERS:]]],
    } for _, given in sorted(answers.items())[:_MOST_SAMPLES]]


def _report(report: Report) -> dict[str, Any]:
    return {"verdict": _cut(report.verdict, _PARAGRAPH), "kind": report.verdict_kind,
            "head": ["", "base", "tuned", "difference"],
            "rows": [[_cut(cell, _SHORT) for cell in row] for row in result_rows(report)[:_MOST_RESULTS]]}


def _error(facts: RunFacts) -> dict[str, Any] | None:
    error = facts.view.error
    if error is None and not facts.log_tail:
        return None
    tail = _cut(facts.log_tail[-_TEXT // 2:], _TEXT)
    if error is None:
        return {"kind": "", "text": "", "rows": [], "log_tail": tail}
    return {"kind": _cut(error.kind, _SHORT), "text": _cut(error.text, 2 * _PARAGRAPH),
            "rows": [_cut(row, _SHORT) for row in error.example_ids[:_MOST_ROWS]], "log_tail": tail}


def _can(view: RunView) -> dict[str, bool]:
    """Which requests make sense now; `steer.ask` has the last word."""
    is_working = view.state in {"queued", "preparing", "training"}
    is_kept = bool(view.checkpoints)
    return {
        "pause": is_working, "checkpoint": is_working, "change": is_working or view.state == "paused",
        "resume": view.state in {"paused", "stopped", "interrupted"} or (view.state == "failed" and is_kept),
        "stop": not view.is_over,
        "discard": not view.is_over or (is_kept and view.state in {"stopped", "failed", "interrupted"}),
    }


def _holding(recipe: Recipe | None, view: RunView) -> dict[str, float | int | None]:
    """What may be changed while the run lives, as it holds now."""
    if recipe is None:
        return dict.fromkeys(CHANGEABLE)
    return holding(recipe, view.changes[-1] if view.changes else None)


def _cut(text: str, size_bytes: int) -> str:
    """The text made visible, its beginning only where its JSON would be longer than that."""
    shown = visible(text[:size_bytes])
    if len(text) <= size_bytes and len(json.dumps(shown)) <= size_bytes:
        return shown
    while len(json.dumps(shown)) > size_bytes - 8:
        shown = shown[:-max(1, len(shown) // 16)]
    return shown + "…"


def _number(value: float) -> float | None:
    """Four significant digits; None for what JSON has no number for."""
    return float(f"{value:.4g}") if value == value and abs(value) != float("inf") else None
