"""What a card says of a run, in words: the same sentences serve the page, plain text and the terminal."""

from __future__ import annotations

import keyword
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from pydantic import ValidationError

from ft_notebook.errors import RunError
from ft_notebook.events import PlanEvent, RunState
from ft_notebook.recipe.export import to_yaml
from ft_notebook.recipe.schema import Recipe
from ft_notebook.store.run_folder import RunFolder
from ft_notebook.views.run_view import RunView, duration, size

if TYPE_CHECKING:
    from ft_notebook.evaluate.report import MetricResult, Report

_QUANTIZED = "qlora"

STATE_WORDS: dict[RunState, str] = {
    "queued": "queued", "preparing": "preparing: loading the model, encoding the data", "training": "training",
    "paused": "paused", "evaluating": "comparing base and tuned", "finished": "finished", "stopped": "stopped",
    "discarded": "discarded", "failed": "failed", "interrupted": "interrupted",
}


@dataclass(frozen=True)
class RunFacts:
    """Everything that a card of a run shows. `advice` says what can be done next, in a sentence."""

    name: str
    run_id: str
    subject: str                # model, method and data in a few words
    view: RunView
    report: Report | None = None
    notice: str = ""
    advice: str = ""
    log_tail: str = ""
    recipe: Recipe | None = None
    recipe_text: str = ""       # the recipe as YAML, without what is default


def facts_of(folder: RunFolder, view: RunView, *, notice: str = "") -> RunFacts:
    """Everything that is known of a run; `view` is its folded log. Raises RunError for a damaged report."""
    is_cut_off = view.state in {"failed", "interrupted"}
    recipe, text = _recipe_of(folder)
    return RunFacts(
        name=folder.name, run_id=folder.id, subject=subject_of(recipe), view=view, recipe=recipe, recipe_text=text,
        report=report_of(folder) if view.is_over else None, notice=notice, advice=_advice(folder.name, view),
        log_tail=folder.log_tail() if is_cut_off else "")


def report_of(folder: RunFolder) -> Report | None:
    """The closing evaluation of a run; None while there is none. Raises RunError for a damaged one."""
    from ft_notebook.evaluate.report import Report

    values = folder.report()
    if values is None:
        return None
    try:
        return Report.model_validate(values)
    except ValidationError as error:
        raise RunError(f"The report of {folder.id} is damaged: {error.errors()[0]['msg']}.") from error


@lru_cache(maxsize=64)      # it never changes, and a live view asks twice a second
def _recipe_of(folder: RunFolder) -> tuple[Recipe, str]:
    recipe = folder.recipe()
    return recipe, to_yaml(recipe, only_changed=True)


def subject_of(recipe: Recipe) -> str:
    """`smollm2-135m-instruct · qlora r16 · tickets.jsonl`."""
    method = recipe.method
    rank = f" r{method.rank}" if method.name in {_QUANTIZED, "lora"} else ""
    return " · ".join(part for part in (recipe.model.name, method.name + rank, recipe.data.source) if part)


def numbers_of(view: RunView, *, now: float) -> list[tuple[str, str]]:
    """Label and figure of what is known so far, the most looked-at first."""
    found: list[tuple[str, str]] = []
    if view.total_steps:
        found.append(("step", f"{view.step} / {view.total_steps}"))
    if view.steps:
        last = view.steps[-1]
        of_epochs = f" of {view.plan.epochs:.1f}" if view.plan else ""
        found.append(("epoch", f"{last.epoch:.1f}{of_epochs}"))
        found.append(("train loss", f"{last.loss:.3g}"))
    if view.evaluations and view.best_evaluation:
        found.append(("held-out loss", f"{view.evaluations[-1].loss:.3g} (best {view.best_evaluation.loss:.3g})"))
    if view.tokens_per_s is not None:
        found.append(("tokens/s", f"{view.tokens_per_s:,.0f}"))
    if view.remaining_s is not None and view.state == "training":
        found.append(("left", duration(view.remaining_s)))
    if view.first_time:
        found.append(("so far", duration((view.last_time if view.is_over else now) - view.first_time)))
    peak = view.steps.peak_memory_bytes
    if peak:
        of_planned = f" of {size(view.plan.memory_expected_bytes)} planned" if view.plan else ""
        found.append(("memory", size(peak) + of_planned))
    return found


def progress_line(name: str, view: RunView, *, now: float) -> str:
    """A run in one line: `triage: training · step 179 / 240 · …`."""
    figures = [f"{figure} {label}" if label in {"tokens/s", "left", "so far"} else f"{label} {figure}"
               for label, figure in numbers_of(view, now=now) if label != "memory"]
    doing = STATE_WORDS[view.state]
    if view.state == "evaluating" and view.comparing:
        doing += f" ({view.comparing.contender} {view.comparing.done} of {view.comparing.total})"
    return f"{name}: " + " · ".join([doing, *figures])


def share_done(view: RunView) -> float | None:
    """How far training is, in [0, 1]; None before the number of steps is known."""
    return min(1.0, view.step / view.total_steps) if view.total_steps else None


def figure(result: MetricResult, value: float) -> str:
    """A metric's value as a reader expects it: shares in per cent."""
    return f"{_number(result, value)} %" if result.is_share else _number(result, value)


def with_interval(result: MetricResult, value: float, low: float | None, high: float | None) -> str:
    """A value and its 95 % interval, if it has one."""
    if low is None or high is None:
        return figure(result, value)
    return f"{figure(result, value)} ({_number(result, low)} to {_number(result, high)})"


def change(result: MetricResult) -> str:
    """The difference with its interval, and whether it is within noise."""
    text = _number(result, result.difference, sign="+") + (" points" if result.is_share else "")
    if result.low is not None and result.high is not None:
        text += f" ({_number(result, result.low, sign='+')} to {_number(result, result.high, sign='+')})"
    return text + (", within noise" if result.is_noise else "")


def _advice(name: str, view: RunView) -> str:
    variable = variable_of(name)
    newest = max((checkpoint.step for checkpoint in view.checkpoints), default=0)
    match view.state:
        case "finished":
            return f'Ask it: {variable}.generate("…").'
        case "stopped":
            return f"{variable}.resume() goes on from step {newest}."
        case "discarded":
            return "Its checkpoints were removed as you asked; running its cell again trains anew."
        case "interrupted":
            return (f"The worker is gone without a word: it was killed, or memory ran out. "
                    f"{variable}.resume() goes on from step {newest}.")
    return ""


def _number(result: MetricResult, value: float, *, sign: str = "") -> str:
    """Shares in per cent with one decimal, large figures in whole numbers, others with three digits."""
    if result.is_share:
        return f"{100 * value:{sign}.1f}"
    return f"{value:{sign},.0f}" if abs(value) >= 1000 else f"{value:{sign}.3g}"


def result_rows(report: Report) -> list[tuple[str, str, str, str]]:
    """Of every figure of a report: its name, base, tuned and difference, each with its interval."""
    from ft_notebook.evaluate.words.verdict import title

    return [(title(result.name), with_interval(result, result.base, result.base_low, result.base_high),
             with_interval(result, result.tuned, result.tuned_low, result.tuned_high), change(result))
            for result in results_of(report)]


def results_of(report: Report) -> list[MetricResult]:
    """All figures of a report in the order they are shown."""
    return [*report.metrics, *filter(None, (report.loss, report.perplexity))]


def plan_rows(plan: PlanEvent) -> list[tuple[str, str]]:
    """A plan as label and figure, for a card and for plain text."""
    share = plan.trained_tokens / plan.total_tokens if plan.total_tokens else 0.0
    of_all = plan.trainable_parameters / plan.total_parameters if plan.total_parameters else 0.0
    return [
        ("examples", f"{plan.train_examples:,} to train on, {plan.heldout_examples:,} held out"),
        ("tokens an epoch", f"{plan.total_tokens:,}, of which {plan.trained_tokens:,} trained ({100 * share:.0f} %)"),
        ("truncated examples", f"{plan.truncated_examples:,}; longest {plan.longest_tokens:,} tokens"),
        ("trainable parameters", f"{plan.trainable_parameters:,} of {plan.total_parameters:,} ({100 * of_all:.2f} %)"),
        ("steps", f"{plan.steps:,} in {plan.epochs:.1f} epochs, batch {plan.batch_size} × {plan.accumulate}"
                  + (f", at most {plan.batch_tokens:,} tokens at once" if plan.batch_tokens else "")),
        ("memory", f"low {size(plan.memory_low_bytes)}, expected {size(plan.memory_expected_bytes)}, "
                   f"high {size(plan.memory_high_bytes)}"),
        ("disk", size(plan.disk_bytes)),
        ("device", f"{plan.device}, {plan.precision}"),
    ]


def variable_of(name: str) -> str:
    """The variable that a run of this name is bound to: `my-run.2` is `my_run_2`."""
    plain = name.replace("-", "_").replace(".", "_")
    if plain[0].isdigit():
        plain = f"run_{plain}"
    return f"{plain}_" if keyword.iskeyword(plain) else plain
