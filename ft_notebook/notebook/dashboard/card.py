"""An evaluation as one card that needs no kernel and no script, as text, and as a page of its own.

What stays in a saved notebook. All markup comes from `render`; nothing is shown that is not in the evaluation.
"""

from __future__ import annotations

import json
from typing import Any

from ft_notebook.data.checks.finding import counted
from ft_notebook.evaluate.evaluation import Evaluation
from ft_notebook.evaluate.words.rows import tuned_of
from ft_notebook.evaluate.words.tables import (
    differences_table,
    fields_table,
    figures_table,
    gaps_table,
    gates_table,
    glance_table,
    hard_table,
    preferences_table,
    slices_table,
)
from ft_notebook.evaluate.words.verdict import title
from ft_notebook.evaluate.words.words import (
    SIGNS,
    calibration_line,
    calibration_words,
    figure_of,
    figure_words,
    fit_line,
    fit_words,
    forgetting_line,
    forgetting_words,
    hard_line,
    slices_line,
    verdict_words,
)
from ft_notebook.notebook.assets import asset
from ft_notebook.notebook.dashboard.curves import coverage, reliability
from ft_notebook.notebook.dashboard.forest import forest
from ft_notebook.notebook.dashboard.nearest import NO_TRAINING, Training
from ft_notebook.notebook.dashboard.rows import (
    drifted_answers,
    failed_rows,
    fallen_questions,
    fitting,
    hard_cases,
)
from ft_notebook.notebook.dashboard.state import state_of
from ft_notebook.notebook.dashboard.tables import confusion, shown
from ft_notebook.notebook.dashboard.verdict import band, reasons
from ft_notebook.notebook.render import Html, card, details, join, page, tag
from ft_notebook.views.text import visible

SCRIPTS = ("dom.js", "dashboard/dashboard.js")       # parts of one module
MOST_BYTES = 380_000        # of the card, its style aside
_FAILURES_BYTES = 200_000
_LIVE_PART = "/* ---- The live dashboard"
_START = """
const state = JSON.parse(document.getElementById("ftn-state").textContent);
mount(document.getElementById("ftn-live"), { get: () => state, on() {}, off() {} });
document.getElementById("ftn-static").hidden = true;
"""
_STYLE = """
:root { color-scheme: light dark; }
body { margin: 16px auto; max-width: 1100px; padding: 0 16px; }
@media print { #ftn-live { display: none; } #ftn-static[hidden] { display: block; } }
"""


def static_html(evaluation: Evaluation, training: Training = NO_TRAINING) -> Html:
    """The card; at most 400 kB, and what does not fit is counted in words."""
    made = [part for part in _parts(evaluation) if part is not None]
    parts, left = fitting(made, lambda part: part, room=MOST_BYTES)
    if left:
        said = f"The last {counted(left, 'part')} did not fit; the JSON report holds all."
        parts.append(tag("p", said, class_="ftn-sub"))
    room = MOST_BYTES - sum(len(part.encode()) for part in parts)
    parts += failed_rows(evaluation, training, room=min(room, _FAILURES_BYTES))
    body = tag("div", *parts, class_="ftn-worth")
    return join(tag("style", _style()), card(body, label=f"evaluation of {evaluation.name}"))


def static_text(evaluation: Evaluation) -> str:
    """The same in a few lines of text."""
    verdict, metric = evaluation.verdict, evaluation.main_metric
    lines = [f"{SIGNS[verdict.kind]} {evaluation.name}: {verdict_words(verdict)}"]
    lines += [f"  {'✓' if reason.is_good else '✗'} {reason.text}" for reason in verdict.reasons]
    lines += [f"  {each.title}: {title(metric)} {figure_words(figure_of(each, metric))}"
              for each in evaluation.contenders]
    lines += [f"  gate failed: {gate.text}: {gate.why}" for gate in evaluation.gates if not gate.passed]
    return visible("\n".join([*lines, *(f"  {note}" for note in evaluation.notes)]))


def page_html(evaluation: Evaluation, training: Training = NO_TRAINING) -> Html:
    """The page: the card that stays, which the live view takes the place of where scripts run. On paper, the card."""
    style, script = Html(asset("dashboard/dashboard.css")), Html(asset(*SCRIPTS))
    body = join(
        tag("style", style, Html(_STYLE)), tag("main", tag("div", static_html(evaluation, training), id="ftn-static"),
                                              tag("div", id="ftn-live")),
        tag("script", _as_data(state_of(evaluation, training)), type="application/json", id="ftn-state"),
        tag("script", script, Html(_START), type="module"))
    return page(body, title=f"{evaluation.name}: was it worth it?")


def _parts(evaluation: Evaluation) -> list[Html | None]:
    parts: list[Html | None] = [band(evaluation), *reasons(evaluation)]
    if evaluation.gates:
        parts.append(shown(gates_table(evaluation)))
    picture, glance = forest(evaluation), shown(glance_table(evaluation))
    beside = tag("div", *(part for part in (picture, glance) if part is not None), class_="ftn-beside")
    parts += [beside, shown(figures_table(evaluation)), shown(differences_table(evaluation))]
    parts += [_forgetting(evaluation), _calibration(evaluation), _fit(evaluation)]
    parts.append(_fold(slices_line(evaluation), shown(slices_table(evaluation)), shown(gaps_table(evaluation))))
    matrix = tuned_of(evaluation).confusion
    drawn = confusion(matrix, title=tuned_of(evaluation).title) if matrix else None
    parts.append(_fold("Labels taken for others", drawn))
    parts.append(_fold(hard_line(evaluation), shown(hard_table(evaluation.hard)), *hard_cases(evaluation.hard)))
    return [*parts, _fold("Preferences", shown(preferences_table(evaluation)))]


def _forgetting(evaluation: Evaluation) -> Html | None:
    found = evaluation.forgetting
    if found is None:
        return None
    drifted = drifted_answers(found.drift) if found.drift is not None else None
    return _fold(forgetting_line(found), tag("p", " ".join(forgetting_words(found))), shown(fields_table(found.fields)),
                 fallen_questions(found.fallen), drifted, shown(fields_table(found.tasks, caption="Other tasks")))


def _calibration(evaluation: Evaluation) -> Html | None:
    found = evaluation.calibration
    if found is None:
        return None
    drawn = [each for each in (reliability(found), coverage(found)) if each is not None]
    return _fold(calibration_line(found), tag("p", " ".join(calibration_words(found))),
                 tag("div", *drawn, class_="ftn-charts"))


def _fit(evaluation: Evaluation) -> Html | None:
    found = evaluation.fit
    return _fold(fit_line(found), tag("p", " ".join(fit_words(found, evaluation.main_metric)))) if found else None


def _fold(line: str, *parts: Html | None) -> Html | None:
    """Parts below a line that says what comes of them; None where there are none."""
    some = [part for part in parts if part is not None]
    return details(line, *some) if some else None


def _style() -> Html:
    """Of `dashboard.css`, what is for a card that stays."""
    return Html(asset("dashboard/dashboard.css").split(_LIVE_PART)[0])


def _as_data(state: dict[str, Any]) -> Html:
    """JSON that ends no script and opens no comment, whatever it holds."""
    text = json.dumps(state, ensure_ascii=False, separators=(",", ":"))
    return Html(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))
