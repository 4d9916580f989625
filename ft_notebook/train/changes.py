"""What a user may change of a run while it trains: how long it trains, and how often it is evaluated.

A ChangeEvent holds all that is changed as of its step, so that the last one up to a step is what holds after
it. The recipe stays as it was made. Called by the worker, and by whoever asks. Imports no torch.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from numbers import Integral, Real

from ft_notebook.errors import UserError
from ft_notebook.events import ChangeEvent, Event
from ft_notebook.recipe.schema import EvaluateSection, Recipe, TrainSection
from ft_notebook.train.schedule import batches_per_epoch

MOST_EPOCHS = 1000              # as of a recipe
CHANGEABLE = ("epochs", "max_steps", "evaluate_every")

Values = Mapping[str, float | int]


def parse_change(values: Mapping[str, object]) -> dict[str, float | int]:
    """The wished values as numbers. Raises UserError for a name or a value that cannot be."""
    wished = {name: value for name, value in values.items() if value is not None}
    for name in wished:
        if name not in CHANGEABLE:
            near = difflib.get_close_matches(str(name), CHANGEABLE, n=1)
            hint = f"Did you mean `{near[0]}`?" if near else f"What can be: {', '.join(CHANGEABLE)}."
            raise UserError(f"`{str(name)[:100]}` cannot be changed while a run trains. {hint}")
    if not wished:
        raise UserError(f"a change names at least one of {', '.join(CHANGEABLE)}.")
    parsed: dict[str, float | int] = {}
    for name, value in wished.items():
        parsed[name] = _epochs(value) if name == "epochs" else _whole(name, value)
    return parsed


def merge(held: ChangeEvent | None, values: Values, *, step: int) -> ChangeEvent:
    """What holds after `step` when `values` are asked for on top of what held.

    Epochs and steps both say how long a run trains: one that is given alone takes the other's place.
    """
    fields: dict[str, float | int | None] = {name: getattr(held, name, None) for name in CHANGEABLE}
    if "epochs" in values or "max_steps" in values:
        fields |= {"epochs": None, "max_steps": None}
    return ChangeEvent.model_validate({"step": step, **fields, **values})


def changes_of(events: Iterable[Event]) -> list[ChangeEvent]:
    """The changes that a log tells of, by step. One that was made again after a resume replaces the later ones."""
    changes: list[ChangeEvent] = []
    for event in events:
        if isinstance(event, ChangeEvent):
            changes = [*(change for change in changes if change.step < event.step), event]
    return changes


def changed(recipe: Recipe, change: ChangeEvent | None, *, examples: int) -> tuple[TrainSection, EvaluateSection]:
    """A recipe's sections as they hold under a change, for that many training examples."""
    train, evaluate = recipe.train, recipe.evaluate
    if change is None:
        return train, evaluate
    if change.epochs is not None:
        train = train.model_copy(update={"epochs": change.epochs, "max_steps": change.max_steps})
    elif change.max_steps is not None:
        # Enough epochs that only the number of steps says when it ends.
        epochs = math.ceil(change.max_steps * train.accumulate / batches_per_epoch(examples, train))
        train = train.model_copy(update={"epochs": float(epochs), "max_steps": change.max_steps})
    if train.epochs > MOST_EPOCHS:
        raise UserError(f"{change.max_steps:,} steps are more than {MOST_EPOCHS} epochs of this data; ask for fewer.")
    if change.evaluate_every is not None:
        evaluate = evaluate.model_copy(update={"every": change.evaluate_every})
    return train, evaluate


def holding(recipe: Recipe, change: ChangeEvent | None) -> dict[str, float | int | None]:
    """What says how long a run trains and how often it is evaluated, under its last change.

    None where it does not count: the epochs where a number of steps was asked for alone, and the reverse.
    """
    held: dict[str, float | int | None] = {
        "epochs": recipe.train.epochs, "max_steps": recipe.train.max_steps, "evaluate_every": recipe.evaluate.every,
    }
    if change is not None and (change.epochs is not None or change.max_steps is not None):
        held |= {"epochs": change.epochs, "max_steps": change.max_steps}
    if change is not None and change.evaluate_every is not None:
        held["evaluate_every"] = change.evaluate_every
    return held


def too_short(steps: int, done: int) -> str:
    """Why a change is refused that would leave nothing to train."""
    return f"step {done} is done, and with that change the run would end at step {steps}; ask for more, or stop it."


def in_words(values: Values) -> str:
    """Wished values as a phrase."""
    said = {"epochs": "{:g} epochs", "max_steps": "{:,} steps", "evaluate_every": "an evaluation every {:,} steps"}
    phrases = [said[name].format(values[name]) for name in CHANGEABLE if name in values]
    return ", ".join(phrases).replace("an evaluation every 1 steps", "an evaluation every step")


def _epochs(value: object) -> float:
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not 0 < value <= MOST_EPOCHS:  # type: ignore[operator]
        raise UserError(f"`epochs` is a number above 0 and at most {MOST_EPOCHS}, not {_shown(value)}.")
    return float(value)  # type: ignore[arg-type]


def _whole(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or not 1 <= int(value) < 2**53:
        raise UserError(f"`{name}` is a whole number from 1 on, not {_shown(value)}.")
    return int(value)


def _shown(value: object) -> str:
    return repr(value)[:60]
