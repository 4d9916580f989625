"""Answers and likelihoods of a model, in batches that give what one example at a time would give.

Called in the worker, for base and tuned alike, at evaluations and for the closing report. Loads torch and
transformers on first use. Leaves the model's training flags, its generation settings and all random states
as they were.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from ft_notebook.evaluate.generation.speaking import OnSpoken, Spoken
from ft_notebook.models.adapters import base_of

if TYPE_CHECKING:
    import torch

    from ft_notebook.data.examples import EncodedExample
    from ft_notebook.evaluate.generation.decoding import Decoded
    from ft_notebook.evaluate.generation.opening import Opening

Progress = Callable[[int, int], None]
"""Called with the number of examples done and their total, whenever some more are."""

Told = Callable[[int, str], None]
"""Called with a prompt's index and its answer as soon as that is there, in whatever order."""

LONGEST_ANSWER = 512
LOGIT_CELLS = 2**26  # logits of one batch at most, unless one example alone needs more: 256 MiB in float32


def answer_budget(targets_token_counts: Sequence[int]) -> int:
    """New tokens to allow an answer: half as long again as the longest target and 8 more, at most 512.

    The 8 leave room for the end of turn; without targets, 512.
    """
    if not targets_token_counts:
        return LONGEST_ANSWER
    return min(LONGEST_ANSWER, math.ceil(1.5 * max(targets_token_counts)) + 8)


def answer_all(
    model: Any, tokenizer: Any, prompts: Sequence[str], *,
    max_new_tokens: int, batch_size: int = 64, on_progress: Progress | None = None, on_answer: Told | None = None,
) -> list[str]:
    """The texts of what `speak_all` says."""
    def tell(index: int, spoken: Spoken) -> None:
        if on_answer:
            on_answer(index, spoken.text)

    return [spoken.text for spoken in speak_all(
        model, tokenizer, prompts, max_new_tokens=max_new_tokens, batch_size=batch_size, on_progress=on_progress,
        on_spoken=tell)]


def speak_all(
    model: Any, tokenizer: Any, prompts: Sequence[str], *,
    max_new_tokens: int, batch_size: int = 64, on_progress: Progress | None = None, on_spoken: OnSpoken | None = None,
) -> list[Spoken]:
    """Greedy answers to rendered prompts, in the prompts' order, without special tokens, and how probable they were.

    An answer ends at any end-of-turn token or after max_new_tokens. Longest prompts are read first, so that what
    does not fit in memory fails at once. All answers that end together are told of, even if telling of one raises.

    In float32 and wider the tokens are those of `generate` on one prompt at a time: an answer that comes to two
    tokens too close to call is made again that way. In 16 bits such places are common and not looked for: there an
    answer may differ as it does between any two batch sizes, but the same call gives the same answers.
    """
    import torch

    from ft_notebook.evaluate.generation.greedy import greedy_answers

    ends = end_of_turn_ids(tokenizer, model)
    pad_id = _pad_id(tokenizer, ends)
    encoded = [tokenizer(prompt, add_special_tokens=False)["input_ids"] or [pad_id] for prompt in prompts]
    spoken: dict[int, Spoken] = {}

    def take(index: int, made: Decoded) -> None:
        spoken[index] = Spoken(
            tokenizer.decode(made.tokens, skip_special_tokens=True), tokens=len(made.tokens) + made.is_ended,
            log_probability=made.log_probability, is_ended=made.is_ended, prompt_tokens=len(encoded[index]))
        if on_spoken:
            on_spoken(index, spoken[index])

    with torch.inference_mode(), evaluating(model):
        for ended in greedy_answers(model, encoded, ends=ends, pad_id=pad_id, max_new_tokens=max_new_tokens,
                                    batch_size=batch_size):
            with ExitStack() as every:
                for index, made in reversed(ended):
                    every.callback(take, index, made)
            if ended and on_progress:
                on_progress(len(spoken), len(prompts))
    return [spoken[index] for index in range(len(prompts))]


def nll(
    model: Any, encoded: Sequence[EncodedExample], *,
    pad_id: int, batch_size: int = 16, on_progress: Progress | None = None,
) -> list[tuple[float, int]]:
    """Summed negative log likelihood over an example's trained tokens, and their number; in the given order.

    The first token of an example follows nothing and is never counted. Log-softmax in float32 or wider, sums in
    float64. Logits are computed only at the positions that a batch needs, where the model's forward allows that; what
    all examples open with is read once.
    """
    import torch

    results: list[tuple[float, int]] = [(0.0, 0)] * len(encoded)
    chooses = _chooses_logits(model)
    done = 0
    with torch.inference_mode(), evaluating(model):
        opening = _opening(model, encoded)
        skipped = opening.length if opening else 0
        for batch in _loss_batches(encoded, batch_size, vocabulary=_vocabulary(model)):
            rows = [encoded[i].input_ids for i in batch]
            input_ids, mask = _padded(rows, pad_id, device=_device(model))
            input_ids = input_ids[:, skipped:]
            needed = sorted({position - skipped for i in batch for position in _predicting(encoded[i])})
            if needed:
                extra: dict[str, Any] = {"use_cache": False}
                if opening:
                    positions = torch.arange(skipped, mask.shape[1], device=mask.device).expand_as(input_ids)
                    extra = {"use_cache": True, "past_key_values": opening.fixed(), "position_ids": positions}
                if chooses:
                    extra["logits_to_keep"] = torch.tensor(needed, device=input_ids.device)
                logits_BPV = model(input_ids=input_ids, attention_mask=mask, **extra).logits
                if not chooses:
                    logits_BPV = logits_BPV[:, -input_ids.shape[1]:]  # prompt tuning puts its own in front
                kept = needed if chooses else range(input_ids.shape[1])
                columns = {position + skipped: column for column, position in enumerate(kept)}
                for row, i in enumerate(batch):
                    results[i] = _example_nll(logits_BPV[row], encoded[i], columns)
            done += len(batch)
            if on_progress:
                on_progress(done, len(encoded))
    return results


def end_of_turn_ids(tokenizer: Any, model: Any) -> list[int]:
    """Every token id that ends an answer: the tokenizer's, the model's settings', and the chat template's own."""
    from ft_notebook.data.chat import masks

    settings = getattr(model, "generation_config", None)
    found: list[int] = []
    for value in (tokenizer.eos_token_id, getattr(settings, "eos_token_id", None), masks.end_of_turn_ids(tokenizer)):
        found += [value] if isinstance(value, int) else list(value or ())
    return list(dict.fromkeys(found))


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Evaluation mode; each module gets its own flag back, for they may differ (a frozen part in evaluation)."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _example_nll(logits_PV: torch.Tensor, example: EncodedExample, columns: dict[int, int]) -> tuple[float, int]:
    """columns: where a position's logits lie."""
    import torch

    positions = _predicting(example)
    if not positions:
        return 0.0, 0
    chosen = torch.tensor([columns[position] for position in positions], device=logits_PV.device)
    targets = torch.tensor([example.input_ids[position + 1] for position in positions], device=logits_PV.device)
    rows = logits_PV[chosen]
    rows = rows.to(torch.promote_types(rows.dtype, torch.float32))
    losses = rows.logsumexp(dim=-1) - rows.gather(-1, targets[:, None])[:, 0]
    return float(losses.double().sum()), len(positions)


def _predicting(example: EncodedExample) -> list[int]:
    """Positions whose logits predict a trained token: one before each."""
    return [position - 1 for position, is_trained in enumerate(example.is_trained) if is_trained and position > 0]


def _batches(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Indices, longest first; equal lengths in the given order."""
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    for start in range(0, len(order), batch_size):
        yield order[start:start + batch_size]


def _loss_batches(encoded: Sequence[EncodedExample], batch_size: int, *, vocabulary: int) -> Iterator[list[int]]:
    """Like `_batches`, cut further so that a batch's logits keep to LOGIT_CELLS."""
    for candidates in _batches([example.tokens for example in encoded], batch_size):
        batch: list[int] = []
        needed: set[int] = set()
        for i in candidates:
            wider = needed | set(_predicting(encoded[i]))
            if batch and (len(batch) + 1) * len(wider) * vocabulary > LOGIT_CELLS:
                yield batch
                batch, wider = [], set(_predicting(encoded[i]))
            batch.append(i)
            needed = wider
        yield batch


def _opening(model: Any, encoded: Sequence[EncodedExample]) -> Opening | None:
    """What all examples open with, up to the first position whose logits count, where the model can go on from it."""
    from ft_notebook.evaluate.generation.opening import Opening, keeps_every_token, shared_opening

    first = min((_predicting(example)[0] for example in encoded if _predicting(example)), default=0)
    tokens = shared_opening([example.input_ids for example in encoded], at_most=first)
    return Opening(model, base_of(model), tokens) if tokens and keeps_every_token(model, base_of(model)) else None


def _padded(rows: Sequence[Sequence[int]], pad_id: int, *, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, padded on the right, both [B, T]."""
    import torch

    longest = max(len(row) for row in rows)
    ids = torch.full((len(rows), longest), pad_id, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for index, row in enumerate(rows):
        ids[index, :len(row)] = torch.tensor(row, dtype=torch.long)
        mask[index, :len(row)] = 1
    return ids.to(device), mask.to(device)


def _chooses_logits(model: Any) -> bool:
    """Whether forward computes logits at chosen positions. Prompt tuning shifts positions, and must not."""
    if getattr(getattr(model, "active_peft_config", None), "is_prompt_learning", False):
        return False
    return "logits_to_keep" in inspect.signature(base_of(model).forward).parameters


def _pad_id(tokenizer: Any, ends: Sequence[int]) -> int:
    if tokenizer.pad_token_id is not None:
        return int(tokenizer.pad_token_id)
    return ends[0] if ends else 0


def _device(model: Any) -> torch.device:
    device: torch.device = next(model.parameters()).device
    return device


def _vocabulary(model: Any) -> int:
    return int(base_of(model).config.get_text_config().vocab_size)
