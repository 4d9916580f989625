"""The four ways to answer, each on the tuned model as it is loaded. All return the same: tokens by prompt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import GenerationConfig

from benchmarks.cpu_step.job import Clock, digest_of
from benchmarks.generation.task import Task, load_tuned, make_task
from ft_notebook.evaluate.generation.generate import answer_all, end_of_turn_ids
from ft_notebook.models.quantize import dequantized

ROWS = 16       # of a padded batch
Answers = list[list[int]]


def measure(name: str, setting: str, answers: int, folder: Path) -> dict[str, Any]:
    """Answer by the contender of this name and tell the figures. Loading is not timed, dequantizing is."""
    model, tokenizer = load_tuned(folder)
    task = make_task(setting, tokenizer, answers)
    clock = Clock()
    clock.start()
    made = ANSWER[name](model, tokenizer, task)
    clock.stop()
    tokens = sum(len(each) for each in made)
    prompts = [tokenizer(prompt, add_special_tokens=False)["input_ids"] for prompt in task.prompts]
    return {
        "answers": len(made), "tokens": tokens, "prompt_tokens": sum(map(len, prompts)),
        "max_new_tokens": task.max_new_tokens, "seconds": clock.seconds, "cpu_seconds": clock.cpu_seconds,
        "answers_per_s": len(made) / clock.seconds, "tokens_per_s": tokens / clock.seconds,
        "loaded_rss_mb": clock.loaded_rss_mb, "peak_rss_mb": clock.peak_rss_mb,
        "digest": digest_of(f"{number}: {each}" for number, each in enumerate(made)), "made": made,
    }


def one_row(model: Any, tokenizer: Any, task: Task) -> Answers:
    """`generate` on a prompt at a time."""
    config, ends = _config(model, tokenizer, task)
    made = []
    for prompt in task.prompts:
        read = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
        made.append(model.generate(**read, generation_config=config)[0, read["input_ids"].shape[1]:].tolist())
    return [_until(tokens, ends) for tokens in made]


def one_row_dense(model: Any, tokenizer: Any, task: Task) -> Answers:
    """The same on weights that are dequantized once."""
    with dequantized(model):
        return one_row(model, tokenizer, task)


def batched(model: Any, tokenizer: Any, task: Task) -> Answers:
    """`generate` on batches of like length, padded on the left, on weights that are dequantized once."""
    config, ends = _config(model, tokenizer, task)
    tokenizer.padding_side = "left"
    order = sorted(range(len(task.prompts)), key=lambda i: -len(tokenizer(task.prompts[i])["input_ids"]))
    made: Answers = [[] for _ in order]
    with dequantized(model):
        for start in range(0, len(order), ROWS):
            batch = order[start:start + ROWS]
            read = tokenizer([task.prompts[i] for i in batch], add_special_tokens=False, padding=True,
                             return_tensors="pt")
            output = model.generate(**read, generation_config=config)[:, read["input_ids"].shape[1]:]
            for i, tokens in zip(batch, output.tolist(), strict=True):
                made[i] = _until(tokens, ends)
    return made


def ours(model: Any, tokenizer: Any, task: Task) -> Answers:
    """As the evaluation of a run does it."""
    heard = _Recorder(tokenizer)
    with dequantized(model):
        told: dict[int, list[int]] = {}
        answer_all(model, heard, task.prompts, max_new_tokens=task.max_new_tokens,
                   on_answer=lambda index, text: told.update({index: heard.last}))
    return [told[index] for index in range(len(task.prompts))]


ANSWER: dict[str, Callable[[Any, Any, Task], Answers]] = {
    "one-row-nf4": one_row, "one-row-dense": one_row_dense, "batched": batched, "ours": ours}


class _Recorder:
    """A tokenizer that remembers what it has decoded last."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer, self.last = tokenizer, list[int]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._tokenizer(*args, **kwargs)

    def __len__(self) -> int:
        return len(self._tokenizer)

    def decode(self, tokens: list[int], **kwargs: Any) -> str:
        self.last = list(tokens)
        return str(self._tokenizer.decode(tokens, **kwargs))


def _config(model: Any, tokenizer: Any, task: Task) -> tuple[GenerationConfig, list[int]]:
    ends = end_of_turn_ids(tokenizer, model)
    return GenerationConfig(do_sample=False, max_new_tokens=task.max_new_tokens, eos_token_id=ends,
                            pad_token_id=tokenizer.pad_token_id), ends


def _until(tokens: list[int], ends: list[int]) -> list[int]:
    stop = next((place for place, token in enumerate(tokens) if token in ends), len(tokens))
    return tokens[:stop]
