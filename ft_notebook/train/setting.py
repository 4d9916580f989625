"""Everything that a run's training needs besides the model's weights: made once, before anything takes memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ft_notebook.data.chat.chat import encoding_notes
from ft_notebook.data.preferences import plan_notes
from ft_notebook.errors import DataError, UserError
from ft_notebook.evaluate.generation.generate import answer_budget
from ft_notebook.events import ChangeEvent, PlanEvent
from ft_notebook.hooks import Method
from ft_notebook.models.catalog import LocalModel, find_model
from ft_notebook.models.load import Precision, load_model, load_tokenizer, resolve_precision
from ft_notebook.plugins import guarded, registry
from ft_notebook.recipe.schema import Recipe
from ft_notebook.store.run_folder import RunFolder
from ft_notebook.train.changes import changed, too_short
from ft_notebook.train.encode import EncodedData, encode_run, leave_for_views
from ft_notebook.train.planning import plan_of
from ft_notebook.train.schedule import Schedule, make_schedule


@dataclass(frozen=True)
class Setting:
    """A run's parts, checked and ready."""

    recipe: Recipe
    model: LocalModel
    tokenizer: Any
    method: Method
    data: EncodedData
    schedule: Schedule           # as the recipe and the user's changes have it
    precision: Precision
    max_new_tokens: int          # of an answer
    plan: PlanEvent

    def under(self, change: ChangeEvent) -> Setting:
        """The same with the schedule that holds after a change.

        Raises UserError if nothing is left to train then, or if a step that is done would have been another.
        """
        schedule = _schedule(self.recipe, self.data, change)
        if schedule.steps <= change.step:
            raise UserError(too_short(schedule.steps, change.step))
        if not schedule.starts_like(self.schedule, step=change.step):
            raise UserError(f"step {change.step} is the last and shorter than the others, so that it came too late; "
                            "a change of how long a run trains is asked for before its last step.")
        plan = self.plan.model_copy(update={
            "seq": 0, "time": 0.0, "steps": schedule.steps, "epochs": schedule.epoch_after(schedule.steps),
            "evaluations": len(schedule.evaluation_steps) if self.data.heldout else 0,
        })
        return replace(self, schedule=schedule, plan=plan)

    def load_trainable(self) -> Any:
        """The model with its weights, as the method wants it."""
        # Parameters that train are kept in float32; autocast computes in the run's precision.
        precision = "fp32" if self.method.name == "full" else self.precision
        loaded = load_model(self.model, precision=precision,
                            method=self.recipe.method if self.method.is_quantized else None)
        return guarded("method", self.method.name, self.method.apply, loaded, self.recipe.method)

    def load_base(self) -> Any:
        """The model as it was before training, in the run's precision."""
        return load_model(self.model, precision=self.precision)


def prepare_setting(run: RunFolder, *, say: Callable[[str], None], change: ChangeEvent | None = None) -> Setting:
    """Find the model, encode the data, plan. `say` gets a sentence before anything that takes long.

    change: what the user changed of the run before it was cut. Leaves tokens and tokenizer in the run folder
    for the views. Raises ModelError, DataError or UserError.
    """
    recipe = run.recipe()
    if recipe.output.folder and Path(recipe.output.folder).expanduser().exists():
        raise UserError(f"`output: {recipe.output.folder}` is there already; name a folder that is not, or remove it.")
    model = find_model(recipe.model, say=say)
    tokenizer = load_tokenizer(model)
    wanted = recipe.objective.name
    objective = registry().get("objective", str(run.data_report()["objective"]) if wanted == "auto" else wanted)
    method = registry().get("method", recipe.method.name)
    data = encode_run(run, objective, tokenizer, recipe.data)
    if not data.train:
        raise DataError("no example is left to train on; hold out fewer.")
    leave_for_views(run, data, tokenizer)
    precision = resolve_precision(recipe.train.precision)
    schedule = _schedule(recipe, data, change)
    notes = [*plan_notes(run.data_report()),
             *encoding_notes([*data.train_tokens, *data.heldout_tokens], tokenizer, recipe.data)]
    if recipe.train.precision not in ("auto", precision):
        notes.append(f"this machine does not compute in {recipe.train.precision}, so that {precision} is used")
    return Setting(
        recipe=recipe, model=model, tokenizer=tokenizer, method=method, data=data, schedule=schedule,
        precision=precision,
        # All trained tokens of an example count as one answer: longer than need be, never cut.
        max_new_tokens=recipe.evaluate.max_new_tokens or answer_budget([e.trained_tokens for e in data.train_tokens]),
        plan=plan_of(recipe, model, method, data, schedule, precision, notes=notes),
    )


def _schedule(recipe: Recipe, data: EncodedData, change: ChangeEvent | None) -> Schedule:
    lengths = [example.tokens for example in data.train_tokens]
    return make_schedule(lengths, *changed(recipe, change, examples=len(lengths)))
