"""What the crash tests share: a run whose end any cut could change, made without a notebook."""

from __future__ import annotations

from ft_notebook.data.examples import example_to_json
from ft_notebook.data.prepare import prepare
from ft_notebook.recipe.parse import parse_recipe
from ft_notebook.store.runs import RunFolder, RunStore

# Dropout draws random numbers, accumulation spans batches, epochs end in mid-run: all must survive a cut.
RECIPE = """\
model: {model}
data: {{source: "sample:tickets", limit: 60}}
method: {{name: {method}, rank: 4, dropout: 0.1}}
train: {{epochs: 6, max_steps: {steps}, batch_size: 4, accumulate: 2, learning_rate: 3e-3, checkpoint_every: {every}, seed: 7}}
evaluate: {{every: 6, samples: 1, at_end: false, max_new_tokens: 2}}
"""


def new_run(recipe_text: str, name: str) -> RunFolder:
    """A queued run."""
    recipe = parse_recipe(recipe_text)
    prepared = prepare(recipe.data)
    return RunStore().create(
        recipe, name=name, recipe_text=recipe_text, train_lines=map(example_to_json, prepared.train),
        heldout_lines=map(example_to_json, prepared.heldout), data_digest=prepared.digest,
        data_report=prepared.report.to_dict(), versions={},
    )


def outcome(run: RunFolder) -> tuple[list[tuple[int, float, float]], bytes]:
    """Loss and gradient norm of every step, and the bytes of the final adapter."""
    steps = [(event.step, event.loss, event.grad_norm) for event in run.history()]
    return steps, (run.path / "adapter" / "adapter_model.safetensors").read_bytes()
