"""From answers to an evaluation: figures, tests, slices, calibration, gates and the verdict. Asks no model."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from ft_notebook.data.examples import prompt_text
from ft_notebook.evaluate.calibration import calibrate
from ft_notebook.evaluate.confusion import confusion
from ft_notebook.evaluate.evaluation import (
    Answer,
    Calibration,
    Contender,
    EvaluatedRow,
    Evaluation,
    Fit,
    Gap,
    Verdict,
)
from ft_notebook.evaluate.fitting import fit_of
from ft_notebook.evaluate.gates import judge_gates, parse_gates
from ft_notebook.evaluate.judging import Yardstick, best_prompt, judge
from ft_notebook.evaluate.likeness import nearest_training, seen_rows
from ft_notebook.evaluate.material import Heard, Material
from ft_notebook.evaluate.metrics.labels import has_few_targets
from ft_notebook.evaluate.scored import figures_of
from ft_notebook.evaluate.slicing import gaps_of, slice_results, slices_of
from ft_notebook.evaluate.standing import TUNED, Standing, standing
from ft_notebook.hooks import GateMeasure, Metric
from ft_notebook.recipe.schema import Recipe

KEPT_CHARACTERS = 4000      # of each text
FEW_ROWS = 30               # below that the evaluation says in words that they are few


def assess(
    material: Material, recipe: Recipe, metrics: Mapping[str, Metric], measures: Sequence[GateMeasure] = ()
) -> Evaluation:
    """recipe: the run's, with what the evaluation says laid over it. metrics: all there are, by name. measures: what
    plugins set gates on.

    Equal inputs give equal evaluations. Raises UserError for names that are no metric, column or gate, PluginError for
    a metric that raises or returns junk.
    """
    subject, rows = material.subject, material.subject.rows
    gates = parse_gates(recipe.gates.conditions, metrics=metrics, measures=measures)
    references = [row.target or "" for row in rows]
    heard = {one.name: one for one in material.contenders}
    stand = standing(
        {name: [spoken.text for spoken in one.spoken] for name, one in heard.items() if one.spoken}, references,
        {name: one.losses for name, one in heard.items() if one.losses},
        metrics=metrics, chosen=recipe.evaluate.metrics, resamples=recipe.evaluate.bootstrap, seed=recipe.train.seed)
    tuned = stand.scores.get(TUNED)
    seen = seen_rows(rows, subject.train)
    parts = _parts(material, recipe)
    slices = slice_results(tuned, parts, resamples=recipe.evaluate.bootstrap, seed=recipe.train.seed) if tuned else []
    evaluation = Evaluation(
        run_id=subject.run_id, name=subject.name, model=subject.model, created=subject.created,
        source=subject.source, main_metric=stand.main, baseline=best_prompt(material.contenders, stand),
        contenders=[_contender(one, stand, references, recipe) for one in material.contenders],
        differences=stand.differences, rows=_rows(material, stand, seen, parts), forgetting=material.forgetting,
        fit=_fit(material, recipe, metrics, stand), calibration=_calibration(heard[TUNED], tuned, recipe),
        slices=slices, gaps=_gaps(material, recipe, tuned) if tuned else [],
        hard=list(material.hard), preferences=list(material.preferences),
        verdict=Verdict(kind="undecided", sentence="", reasons=[]), seconds=material.seconds,
        notes=[*_size_notes(len(rows)), *stand.notes, *material.notes])
    evaluation = evaluation.model_copy(update={"gates": judge_gates(gates, evaluation)})
    yardstick = _yardstick(material, references, tuned, metrics.get(stand.main))
    return evaluation.model_copy(update={"verdict": judge(evaluation, yardstick)})


def _contender(one: Heard, stand: Standing, references: Sequence[str], recipe: Recipe) -> Contender:
    calls = max(1, len(one.spoken))
    read, written = (sum(counts) / calls for counts in (
        [spoken.prompt_tokens for spoken in one.spoken], [spoken.tokens for spoken in one.spoken]))
    is_labels = bool(one.spoken) and has_few_targets(references)
    return Contender(
        name=one.name, title=one.title, kind=one.kind, figures=stand.figures.get(one.name, []),
        prompt_tokens=read, answer_tokens=written, seconds=one.seconds, cost=_cost(read, written, recipe),
        confusion=confusion([spoken.text for spoken in one.spoken], references).to_dict() if is_labels else None,
        detail=one.detail)


def _cost(prompt_tokens: float, answer_tokens: float, recipe: Recipe) -> float | None:
    """Of a thousand calls, at prices of a million tokens; None where the user named none."""
    price_in, price_out = recipe.report.price_in, recipe.report.price_out
    if price_in is None and price_out is None:
        return None
    return (prompt_tokens * (price_in or 0.0) + answer_tokens * (price_out or 0.0)) / 1000


def _rows(material: Material, stand: Standing, seen: Sequence[bool], parts: Sequence[Mapping[str, str]]
          ) -> list[EvaluatedRow]:
    rows, train = material.subject.rows, material.subject.train
    scores = stand.scores.get(TUNED)
    wrong = [place for place in range(len(rows)) if scores and scores[place] < 1]
    nearest = dict(zip(wrong, nearest_training([rows[place] for place in wrong], train), strict=True)) if wrong else {}
    kept = []
    for place, row in enumerate(rows):
        answers = {}
        for one in material.contenders:
            if one.spoken:
                spoken, figures = one.spoken[place], stand.scores.get(one.name)
                answers[one.name] = Answer(
                    text=_cut(spoken.text), score=figures[place] if figures else None, tokens=spoken.tokens,
                    confidence=math.exp(min(0.0, spoken.log_probability)))
        kept.append(EvaluatedRow(
            id=row.id, row=row.row, prompt=_cut(prompt_text(row)), reference=_cut(row.target or ""), answers=answers,
            slices=dict(parts[place]), is_seen=seen[place],
            nearest=nearest.get(place, [])))
    return kept


def _parts(material: Material, recipe: Recipe) -> Sequence[Mapping[str, str]]:
    """Of each row, the column to value that it is looked at by."""
    rows = material.subject.rows
    named = {column: _column(material, column) for column in (*recipe.report.slices, *recipe.expect.slice_by)}
    return slices_of([prompt_text(row) for row in rows], [row.target or "" for row in rows], columns=named,
                     seed=recipe.train.seed)


def _gaps(material: Material, recipe: Recipe, scores: Sequence[float]) -> list[Gap]:
    columns = recipe.expect.slice_by
    found = [gaps_of(column, scores, _column(material, column), among=len(columns),
                     resamples=recipe.evaluate.bootstrap, seed=recipe.train.seed) for column in columns]
    return [gap for gap in found if gap is not None]


def _column(material: Material, name: str) -> list[str]:
    columns = material.subject.columns
    return [columns.get(row.id, {}).get(name, "") for row in material.subject.rows]


def _fit(material: Material, recipe: Recipe, metrics: Mapping[str, Metric], stand: Standing) -> Fit | None:
    metric, heldout = metrics.get(stand.main), stand.scores.get(TUNED)
    if metric is None or heldout is None or not material.trained:
        return None
    figures = figures_of(metric, [spoken.text for _, spoken in material.trained],
                         [example.target or "" for example, _ in material.trained])
    if figures is None:
        return None
    return fit_of(figures, heldout, recited=material.recited, recited_heldout=material.recited_heldout,
                  seed=recipe.train.seed, resamples=recipe.evaluate.bootstrap)


def _calibration(tuned: Heard, scores: Sequence[float] | None, recipe: Recipe) -> Calibration | None:
    if not scores or not set(scores) <= {0.0, 1.0}:
        return None
    return calibrate([math.exp(min(0.0, one.log_probability)) for one in tuned.spoken],
                     [score == 1.0 for score in scores], wanted=recipe.report.wanted,
                     resamples=recipe.evaluate.bootstrap, seed=recipe.train.seed)


def _yardstick(material: Material, references: Sequence[str], scores: Sequence[float] | None, metric: Metric | None
               ) -> Yardstick | None:
    """What one label, always answered, would score; where targets are labels."""
    targets = [example.target or "" for example in material.subject.train] or list(references)
    if metric is None or not scores or not has_few_targets(references):
        return None
    label = Counter(targets).most_common(1)[0][0]
    figures = figures_of(metric, [label] * len(references), references)
    return None if figures is None else Yardstick.of(label, figures, scores)


def _size_notes(rows: int) -> list[str]:
    if rows >= FEW_ROWS:
        return []
    were = "Only 1 row was" if rows == 1 else f"Only {rows} rows were"
    return [f"{were} evaluated, so chance plays a large part."]


def _cut(text: str) -> str:
    text = text.encode("utf-8", "replace").decode()     # half of a surrogate pair cannot be written as JSON
    extra = len(text) - KEPT_CHARACTERS
    return text if extra <= 0 else f"{text[:KEPT_CHARACTERS]} … ({extra:,} more characters)"
