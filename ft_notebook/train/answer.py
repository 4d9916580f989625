"""Answers prompts with a run's model: a child that loads it once and reads requests from standard input.

    python -m ft_notebook.train.answer RUN_FOLDER

One JSON object a line. First out: {"ready": true} or {"error": "..."}. Then for each request
{"prompts": [text or messages], "max_new_tokens": number or null, "use_adapter": bool} one line
{"answers": [...]} or {"error": "..."}; with "answer", a text, its log-likelihood after each prompt instead:
{"log_likelihoods": [...]}; with "gradients": true besides, what each word of the one prompt did for it:
{"words": [[word, moved], ...], "difference": number}. Ends when its input does. Started by supervise.Answerer. The
worker of a paused run answers through `reply_to` as well.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from ft_notebook.data.chat.chat import render_prompt
from ft_notebook.data.examples import Message
from ft_notebook.errors import FtError, UserError
from ft_notebook.plugins import registry
from ft_notebook.recipe.schema import Recipe
from ft_notebook.store import checkpoints
from ft_notebook.store.run_folder import RunFolder
from ft_notebook.train.child import reply_channel, serve

_LONGEST_ANSWER = 256


def main(run_folder: Path, requests: IO[str], replies: IO[str]) -> int:
    """Load, then answer until the input ends."""
    def make() -> Callable[[dict[str, Any]], dict[str, Any]]:
        loaded = load_trained(RunFolder(run_folder))
        return partial(reply_to, model=loaded.model, tokenizer=loaded.tokenizer, recipe=loaded.recipe,
                       load_base=loaded.load_base)

    return serve(make, requests, replies)


@dataclass(frozen=True)
class Loaded:
    """A run's model, ready to answer."""

    recipe: Recipe
    folder: Path                        # of the weights that were trained
    model: Any
    tokenizer: Any
    load_base: Callable[[], Any]        # the model as it was before training


def load_trained(run: RunFolder) -> Loaded:
    """The finished model of a run, else that of its newest checkpoint. Raises UserError if there is neither."""
    from ft_notebook.models.adapters import load_adapter
    from ft_notebook.models.catalog import LocalModel, find_model
    from ft_notebook.models.load import load_model, load_tokenizer, resolve_precision

    recipe = run.recipe()
    folder = _trained_folder(run)
    base = find_model(recipe.model, say=lambda sentence: None)
    precision = resolve_precision(recipe.train.precision)
    if (folder / "adapter_config.json").is_file():
        method = registry().get("method", recipe.method.name)
        loaded = load_model(base, precision=precision, method=recipe.method if method.is_quantized else None)
        model = load_adapter(loaded, folder)
    else:
        model = load_model(LocalModel(run.name, folder, "run"), precision=precision)
    return Loaded(recipe, folder, model, load_tokenizer(base), lambda: load_model(base, precision=precision))


def reply_to(request: Mapping[str, Any], *, model: Any, tokenizer: Any, recipe: Recipe,
             load_base: Callable[[], Any]) -> dict[str, Any]:
    """{"answers": [...]} to a request as above, or {"error": "..."}. Leaves the model and all random states as is.

    recipe: its system message goes in front of a prompt that has none. load_base: where the model has no adapter to
    switch off.
    """
    from ft_notebook.evaluate.generation.generate import answer_all
    from ft_notebook.evaluate.generation.model_speaker import ModelSpeaker
    from ft_notebook.models.adapters import is_adapter
    from ft_notebook.models.quantize import dequantized, room_for_answers
    from ft_notebook.train.attribution import word_gradients

    try:
        asked = [_messages(prompt, recipe.data.system) for prompt in _prompts(request)]
        longest = _longest(request)
        switched: AbstractContextManager[Any] = nullcontext()
        if not request.get("use_adapter", True):
            if is_adapter(model):
                switched = model.disable_adapter()
            else:
                model = load_base()
        with switched, dequantized(model, room_bytes=room_for_answers(recipe.kernels)):
            if request.get("answer") is not None and request.get("gradients"):
                if len(asked) > 1:
                    raise UserError("gradients are of one prompt at a time.")
                found = word_gradients(model, tokenizer, asked[0], str(request["answer"]))
                return {"words": found.words, "difference": found.difference}
            if request.get("answer") is not None:
                losses = ModelSpeaker(model, tokenizer).likelihood(asked, [str(request["answer"])] * len(asked))
                return {"log_likelihoods": [-loss for loss, _ in losses]}
            prompts = [render_prompt(messages, tokenizer) for messages in asked]
            return {"answers": answer_all(model, tokenizer, prompts, max_new_tokens=longest)}
    except FtError as error:
        return {"error": str(error)}
    except (MemoryError, RuntimeError, ValueError) as error:
        return {"error": f"The model could not answer: {type(error).__name__}: {error}"}


def _prompts(request: Mapping[str, Any]) -> list[Any]:
    prompts = request.get("prompts")
    if not isinstance(prompts, list) or not prompts:
        raise UserError("there is nothing to answer: `prompts` is a list of texts or messages.")
    return prompts


def _longest(request: Mapping[str, Any]) -> int:
    longest = request.get("max_new_tokens")
    if longest is None:
        return _LONGEST_ANSWER
    if isinstance(longest, bool) or not isinstance(longest, int) or longest < 1:
        raise UserError("`max_new_tokens` is a whole number from 1 on.")
    return longest


def _messages(prompt: Any, system: str | None) -> tuple[Message, ...]:
    """A text is one user turn; the recipe's system message goes in front where there is none."""
    if isinstance(prompt, str):
        messages = [Message("user", prompt)]
    else:
        try:
            messages = [Message(turn["role"], str(turn["content"])) for turn in prompt]
        except (KeyError, TypeError) as error:
            raise UserError("a prompt is a text, or a list of {'role': ..., 'content': ...}.") from error
    if not messages:
        raise UserError("there is nothing to answer: the prompt is empty.")
    if system and messages[0].role != "system":
        messages.insert(0, Message("system", system))
    return tuple(messages)


def _trained_folder(run: RunFolder) -> Path:
    """The finished adapter, else the newest checkpoint that verifies. Raises UserError if there is neither."""
    adapter = run.path / "adapter"
    if adapter.is_dir():
        checkpoints.verify(adapter)
        return adapter
    found = checkpoints.newest_valid(run)
    if found is None:
        raise UserError(f"run {run.id} has no checkpoint yet, so there is nothing to answer with; wait for the first.")
    return found[1]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.stdin, reply_channel()))
