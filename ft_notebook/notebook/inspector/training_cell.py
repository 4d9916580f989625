"""The cell that trains on a data set that was inspected."""

from __future__ import annotations

from ft_notebook.data.checks.finding import counted
from ft_notebook.data.versions.versions import name_for
from ft_notebook.recipe.export import to_yaml
from ft_notebook.recipe.schema import Recipe


def training_cell(recipe: Recipe, label: str | None, *, waiting: int, is_nameless: bool) -> tuple[str, str]:
    """A `%%finetune` cell for the data of a recipe, and what to mind, in a sentence that may be empty.

    label: of the version that was made of the data, which takes their place. waiting: rows that were edited since.
    is_nameless: whether no variable of the notebook holds the data.
    """
    source = recipe.data.source if label is None else label
    data = recipe.data.model_copy(update={"source": source})
    name = name_for(source)
    name = f"{name}_run" if name == source else name        # which would take the place of its own data
    text = f"%%finetune {name}\n{to_yaml(recipe.model_copy(update={'data': data})).rstrip()}"
    if waiting:
        return text, f"{counted(waiting, 'edited row')} of the table will be in it once there is a new version."
    if is_nameless and label is None:
        return text, f"The rows have no name here yet: write `{source} = ...` first."
    return text, ""
