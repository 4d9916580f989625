"""The closing report: base against tuned on the same held-out examples, as one value.

`build_report` computes it in the worker; the run folder keeps it as `report.json`; views read it back
with `Report.from_json` and show nothing that is not in it. Touches no disk, clock or model, and loads
numpy only to build a report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from pydantic import BaseModel, ConfigDict

from ft_notebook.evaluate.compare import MetricComparison, compare, compare_losses
from ft_notebook.evaluate.measured import Measured, losses_of, most_changed, select_metrics
from ft_notebook.evaluate.words.markdown import escape, table
from ft_notebook.evaluate.words.verdict import VerdictKind, amounts, differences, title, verdict
from ft_notebook.hooks import Metric

FEW_EXAMPLES = 30      # below that the report says in words that they are few
KEPT_CHARACTERS = 4000  # of each text in the report: 200 examples stay within a few megabytes



class _Value(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class MetricResult(_Value):
    """One figure before and after, with 95 % intervals; an interval is None where there is too little to say."""

    name: str                        # a metric's name, or "loss", "perplexity"
    base: float
    base_low: float | None
    base_high: float | None
    tuned: float
    tuned_low: float | None
    tuned_high: float | None
    difference: float                # tuned - base
    low: float | None                # of the difference
    high: float | None
    is_noise: bool                   # the interval includes zero, or too few examples changed to tell
    examples: int
    changed: int = 0                 # examples whose figure (or answer, if the metric has no figures) differs
    is_share: bool = True            # in [0, 1]: shown in per cent and points
    is_higher_better: bool = True    # false for loss and perplexity


class ExampleResult(_Value):
    """One held-out example with both answers side by side. Long texts are cut, and end by saying so."""

    id: str
    row: int
    prompt: str                      # for plain text: the text itself
    reference: str | None            # None for plain text, which has no target
    base_answer: str | None          # None where nothing was generated
    tuned_answer: str | None
    base_score: float | None         # of the main metric; None where it has no figure an example
    tuned_score: float | None
    base_loss: float | None          # mean over the example's trained tokens
    tuned_loss: float | None


class Report(_Value):
    """The closing evaluation of a run."""

    run_id: str
    name: str
    model: str
    created: float                   # seconds since the epoch
    heldout_examples: int            # their loss was measured
    answered_examples: int           # their answers were compared
    metrics: list[MetricResult]
    loss: MetricResult | None        # lower is better; None if no loss was measured
    perplexity: MetricResult | None
    main_metric: str                 # the verdict's: a metric's name, "loss", or "" when nothing was measured
    improved: list[ExampleResult]    # changed most for the better first, at most five
    worsened: list[ExampleResult]    # changed most for the worse first, at most five
    examples: list[ExampleResult]    # all answered ones, in the order of the data
    verdict: str                     # one sentence
    verdict_kind: VerdictKind
    notes: list[str]                 # sentences that qualify the verdict
    seconds: float                   # of training
    tokens_per_s: float              # of training

    @classmethod
    def from_json(cls, text: str | bytes) -> Report:
        """Read `report.json`. Raises pydantic.ValidationError on anything else."""
        return cls.model_validate_json(text)
    def to_json(self) -> str:
        return self.model_dump_json(indent=1)

    def to_rows(self) -> list[dict[str, Any]]:
        """A row a figure, loss and perplexity last: `pandas.DataFrame(report.to_rows())`."""
        return [result.model_dump() for result in self._figures()]

    def to_markdown(self) -> str:
        """The report as Markdown; every text of the model or the data reads as text."""
        parts = [f"## {escape(self.name)}: base against tuned", escape(self.verdict)]
        if self._figures():
            parts.append(table(["", "base", "tuned", "difference", "95 % interval", "examples"],
                               [_markdown_row(result) for result in self._figures()]))
        parts += [f"- {escape(note)}" for note in self.notes]
        for heading, examples in (("Changed for the better", self.improved), ("Changed for the worse", self.worsened)):
            if examples:
                parts += [f"### {heading}", table(["row", "prompt", "reference", "base", "tuned"], [
                    [str(example.row), example.prompt, example.reference or "", example.base_answer or "",
                     example.tuned_answer or ""] for example in examples])]
        return "\n\n".join(parts) + "\n"

    def _figures(self) -> list[MetricResult]:
        return [*self.metrics, *(result for result in (self.loss, self.perplexity) if result is not None)]


@dataclass(frozen=True)
class RunFacts:
    """What the report says about the run besides what was measured."""

    run_id: str
    name: str
    model: str
    created: float                   # seconds since the epoch
    seconds: float                   # of training
    tokens_per_s: float              # of training
    notes: tuple[str, ...] = ()      # sentences to add to the report's own


def build_report(
    facts: RunFacts, measured: Sequence[Measured], *,
    metrics: Mapping[str, Metric], chosen: Sequence[str] = (), resamples: int = 2000, seed: int = 0,
) -> Report:
    """Compare what base and tuned made of the same held-out examples.

    metrics: all there are, by name. chosen: those that the recipe names; by default the metrics that suit the
    references. Equal inputs give equal reports. Raises UserError for a chosen name that is no metric and
    PluginError for a metric that raises or returns junk.
    """
    answered = [one for one in measured if one.is_answered]
    references = [one.reference or "" for one in answered]
    comparisons = {
        metric.name: compare(
            metric, references, [one.base_answer or "" for one in answered],
            [one.tuned_answer or "" for one in answered], resamples=resamples, seed=seed)
        for metric in select_metrics(metrics, chosen, references)
    } if answered else {}
    base_losses, tuned_losses, loss_notes = losses_of(measured)
    loss, perplexity = compare_losses(
        base_losses, tuned_losses, resamples=resamples, seed=seed) if base_losses else (None, None)
    main, main_notes = _main(comparisons, loss, chosen)
    sentence, kind = verdict(main)

    scores = _scores(main, answered)
    improved, worsened = most_changed(measured, scores, _scores(comparisons.get("rouge_l"), answered))
    return Report(
        run_id=facts.run_id, name=facts.name, model=facts.model, created=facts.created,
        heldout_examples=len(measured), answered_examples=len(answered),
        metrics=[_result(comparison) for comparison in comparisons.values()],
        loss=_result(loss) if loss else None, perplexity=_result(perplexity) if perplexity else None,
        main_metric=main.name if main else "",
        improved=[_example(one, scores) for one in improved], worsened=[_example(one, scores) for one in worsened],
        examples=[_example(one, scores) for one in answered], verdict=sentence, verdict_kind=kind,
        notes=[*_size_notes(main, len(answered), len(measured)), *main_notes, *loss_notes, *facts.notes],
        seconds=facts.seconds, tokens_per_s=facts.tokens_per_s)


def _main(
    comparisons: Mapping[str, MetricComparison], loss: MetricComparison | None, chosen: Sequence[str]
) -> tuple[MetricComparison | None, list[str]]:
    """The comparison that the verdict is on, and why if it is not the first in line."""
    first = chosen[0] if chosen else "exact_match" if "exact_match" in comparisons else next(iter(comparisons), "")
    line = [comparisons[name] for name in dict.fromkeys((first, "rouge_l")) if name in comparisons]
    telling = [one for one in line if one.base != 0 or one.tuned != 0] + ([loss] if loss else []) or line
    if not telling:
        return None, []
    passed = line[:line.index(telling[0])] if telling[0] in line else line
    if not passed:
        return telling[0], []
    zeros = " and ".join(title(one.name) for one in passed)
    return telling[0], [
        f"The verdict is on {title(telling[0].name)}, because {zeros} {'is' if len(passed) == 1 else 'are'} zero "
        "before and after."]


def _size_notes(main: MetricComparison | None, answered: int, heldout: int) -> list[str]:
    notes = []
    if main and main.n < FEW_EXAMPLES:
        weight = f": each of them moves {title(main.name)} by up to {100 / main.n:.0f} points" if main.is_share else ""
        only = "Only 1 held-out example was" if main.n == 1 else f"Only {main.n} held-out examples were"
        notes.append(f"{only} compared, so chance plays a large part{weight}.")
    if 0 < answered < heldout:
        notes.append(f"{answered} of {heldout} held-out examples were answered; the loss is over all of them.")
    return notes


def _scores(
    comparison: MetricComparison | None, answered: Sequence[Measured]
) -> dict[str, tuple[float, float]]:
    """Example id to base and tuned figure, where the metric has figures an example."""
    if comparison is None or comparison.base_figures is None or comparison.tuned_figures is None:
        return {}
    return {one.id: figures for one, figures in zip(
        answered, zip(comparison.base_figures, comparison.tuned_figures, strict=True), strict=True)}


def _result(comparison: MetricComparison) -> MetricResult:
    values = {field.name: getattr(comparison, field.name) for field in fields(comparison)}
    known = {name: value for name, value in values.items() if name in MetricResult.model_fields}
    return MetricResult(**known, examples=comparison.n)


def _example(one: Measured, scores: Mapping[str, tuple[float, float]]) -> ExampleResult:
    base_score, tuned_score = scores.get(one.id, (None, None))
    return ExampleResult(
        id=one.id, row=one.row, prompt=_cut(one.prompt) or "", reference=_cut(one.reference),
        base_answer=_cut(one.base_answer), tuned_answer=_cut(one.tuned_answer),
        base_score=base_score, tuned_score=tuned_score, base_loss=one.base_loss, tuned_loss=one.tuned_loss)


def _cut(text: str | None) -> str | None:
    if text is None:
        return None
    text = text.encode("utf-8", "replace").decode()  # half of a surrogate pair cannot be written as JSON
    extra = len(text) - KEPT_CHARACTERS
    return text if extra <= 0 else f"{text[:KEPT_CHARACTERS]} … ({extra:,} more characters)"


def _markdown_row(result: MetricResult) -> list[str]:
    base, tuned = amounts([result.base, result.tuned], is_share=result.is_share)
    values = [result.difference] if result.low is None or result.high is None else [
        result.difference, result.low, result.high]
    by, *interval = differences(values, is_share=result.is_share)
    unit = " points" if result.is_share else ""
    return [title(result.name), base, tuned, by + unit, " to ".join(interval) or "none", str(result.examples)]
