"""After training: keep the adapter that is best, and compare it with the base model on the held-out examples."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

from ft_notebook.data.examples import prompt_text
from ft_notebook.errors import CheckpointError, DurabilityError, UserError
from ft_notebook.evaluate.generation.kept_answers import ask
from ft_notebook.evaluate.generation.model_speaker import ModelSpeaker
from ft_notebook.evaluate.measured import Measured
from ft_notebook.evaluate.report import RunFacts, build_report
from ft_notebook.events import EvaluateProgressEvent, Event, MessageEvent, ReportEvent, StepEvent
from ft_notebook.models.adapters import is_adapter
from ft_notebook.models.quantize import dequantized, room_for_answers
from ft_notebook.plugins import registry
from ft_notebook.recipe.schema import Recipe
from ft_notebook.store import checkpoints
from ft_notebook.store.durable import commit_folder, copy_file, remove_folder, write_text
from ft_notebook.store.manifest import verify_folder
from ft_notebook.store.run_folder import RunFolder
from ft_notebook.train.encode import EncodedData
from ft_notebook.train.heard import answers_of, base_key, loss_key, once, tuned_key
from ft_notebook.train.kernels import RunKernels

Nll = list[tuple[float, int]]   # summed negative log likelihood and trained tokens, by held-out example

# What of a checkpoint makes up the finished model; the rest is for resuming.
_FINISHED = ("adapter_*", "*.safetensors", "config.json", "generation_config.json", "tokenizer*", "chat_template*",
             "special_tokens_map.json", "*.index.json")


def keep_adapter(run: RunFolder, step: int) -> Path:
    """Copy the model of a checkpoint to `adapter/` in the run folder, and to the recipe's output folder."""
    source = checkpoints.path_of(run, step)
    checkpoints.verify(source)
    final = run.path / "adapter"
    if not _holds(final, step):
        remove_folder(final)
        staged = run.staging_path / "adapter"
        remove_folder(staged)
        for path in sorted({path for pattern in _FINISHED for path in source.glob(pattern)}):
            copy_file(path, staged / path.name)
        commit_folder(staged, final, extra_manifest={"run": run.id, "step": step})
    return final


def _holds(adapter: Path, step: int) -> bool:
    """Whether the finished adapter is there, of that step and undamaged."""
    try:
        return verify_folder(adapter).extra.get("step") == step
    except CheckpointError:
        return False


def copy_to_output(adapter: Path, wanted: str) -> Path:
    """Copy the finished adapter to the folder that the recipe names. Raises UserError if something is there."""
    folder = Path(wanted).expanduser().absolute()
    staged = folder.with_name(f".{folder.name}.partial")
    try:
        remove_folder(staged)
        for path in adapter.iterdir():
            if path.name != "manifest.json":
                copy_file(path, staged / path.name)
        commit_folder(staged, folder, extra_manifest={})
    except DurabilityError as error:
        with suppress(DurabilityError):  # the first error is the one to report
            remove_folder(staged)
        raise UserError(f"it could not be copied to `{wanted}`: {error}") from error
    return folder


def load_weights(model: Any, folder: Path) -> None:
    """Put the weights of a checkpoint into the model that trained."""
    from safetensors.torch import load_file

    if is_adapter(model):
        from peft import set_peft_model_state_dict

        set_peft_model_state_dict(model, load_file(folder / "adapter_model.safetensors"))
        return
    state: dict[str, Any] = {}
    for path in sorted(folder.glob("*.safetensors")):
        state.update(load_file(path))
    model.load_state_dict(state, strict=False)
    model.tie_weights()


def write_report(run: RunFolder, recipe: Recipe, model: Any, tokenizer: Any, data: EncodedData, *, kernels: RunKernels,
                 load_base: Callable[[], Any], say: Callable[[Event], Event], max_new_tokens: int,
                 give_way: Callable[[], None] = lambda: None,
                 known: tuple[Nll | None, Nll | None] = (None, None)) -> None:
    """Answer and score the held-out examples with base and tuned model, and write report.json.

    give_way: called after every batch; what it raises ends the comparison, and nothing is written then.
    known: likelihoods of base and tuned on the held-out examples, where training has measured them.
    """
    base, base_only = (model, model.disable_adapter()) if is_adapter(model) else (load_base(), nullcontext())
    computing = kernels if base is model else RunKernels()      # what computes one model knows nothing of another
    measure = partial(_measure, run, tokenizer=tokenizer, data=data, recipe=recipe, say=say, give_way=give_way,
                      max_new_tokens=max_new_tokens)
    keys = base_key(recipe), tuned_key(run, run.path / "adapter")
    base_answers, base_nll = measure("base", base, base_only, kernels=computing, known=known[0], key=keys[0])
    tuned_answers, tuned_nll = measure("tuned", model, nullcontext(), kernels=kernels, known=known[1], key=keys[1])
    measured = [
        Measured(
            id=example.id, row=example.row, prompt=prompt_text(example), reference=example.target,
            base_answer=base_answers.get(example.id), tuned_answer=tuned_answers.get(example.id),
            base_nll=before, tuned_nll=after,
        )
        for example, before, after in zip(data.heldout, base_nll, tuned_nll, strict=True)
    ]
    steps = [event for event in run.history() if isinstance(event, StepEvent)]
    seconds = sum(event.step_s for event in steps)
    report = build_report(
        RunFacts(
            run_id=run.id, name=run.name, model=recipe.model.name, created=run.created, seconds=seconds,
            tokens_per_s=sum(event.tokens for event in steps) / seconds if seconds else 0.0,
        ),
        measured, metrics=registry().metrics(), chosen=recipe.evaluate.metrics,
        resamples=recipe.evaluate.bootstrap, seed=recipe.train.seed,
    )
    write_text(run.path / "report.json", report.to_json())
    say(ReportEvent(path="report.json", verdict=report.verdict))


def _measure(run: RunFolder, contender: str, model: Any, switched: AbstractContextManager[Any], *, tokenizer: Any,
             data: EncodedData, recipe: Recipe, kernels: RunKernels, say: Callable[[Event], Event],
             give_way: Callable[[], None], max_new_tokens: int, known: Nll | None, key: str
             ) -> tuple[dict[str, str], Nll]:
    """Answers by example id, and the likelihood of every held-out example; kept for evaluations under `key`."""
    asked = [example for example in data.heldout if example.has_target][:recipe.evaluate.limit]

    def tell(done: int, total: int) -> None:
        say(EvaluateProgressEvent(contender=contender, done=done, total=total))
        give_way()

    give_way()
    with switched:
        losses = known or kernels.nll(model, data.heldout_tokens, recipe=recipe, pad_id=tokenizer.pad_token_id,
                                      on_progress=lambda done, total: give_way())
        with dequantized(model, room_bytes=room_for_answers(recipe.kernels)):
            answers = ask(ModelSpeaker(model, tokenizer), answers_of(run), key,
                          [example.prompt_messages for example in asked], max_new_tokens=max_new_tokens,
                          on_progress=tell).spoken
    once(run, "loss", f"{key} {loss_key(recipe, [example.id for example in data.heldout])}", lambda: losses)
    return {example.id: one.text for example, one in zip(asked, answers, strict=True)}, losses


def say_choice(say: Callable[[Event], Event], chosen: int, last: int) -> None:
    """Tell the user which step's adapter was kept, if it is not the last."""
    if chosen != last:
        say(MessageEvent(level="info", text=(
            f"The adapter that is kept is the one of step {chosen}, which had the lowest held-out loss; "
            f"training ended at step {last}."
        )))
