"""Answers and likelihoods of a model, in batches that give what one example at a time would give.

Called in the worker, for base and tuned alike, at evaluations and for the closing report. Loads torch and
transformers on first use. Leaves the model's training flags, its generation settings and all random states
as they were.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from ft_notebook.data.examples import EncodedExample

Progress = Callable[[int, int], None]
"""Called with the number of examples done and their total, after each batch."""

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
    max_new_tokens: int, batch_size: int = 16, on_progress: Progress | None = None,
) -> list[str]:
    """Greedy answers to rendered prompts, in the prompts' order, without special tokens.

    An answer ends at any end-of-turn token or after max_new_tokens. Longest prompts run first, so that what
    does not fit in memory fails at once.
    """
    import torch

    ends = end_of_turn_ids(tokenizer, model)
    pad_id = _pad_id(tokenizer, ends)
    encoded = [tokenizer(prompt, add_special_tokens=False)["input_ids"] or [pad_id] for prompt in prompts]
    answers = [""] * len(prompts)
    done = 0
    with torch.inference_mode(), evaluating(model), _greedy(model, ends, pad_id, max_new_tokens) as config:
        for batch in _batches([len(ids) for ids in encoded], batch_size):
            input_ids, mask = _padded([encoded[i] for i in batch], pad_id, side="left", device=_device(model))
            output = model.generate(input_ids=input_ids, attention_mask=mask, generation_config=config)
            for i, ids in zip(batch, output[:, input_ids.shape[1]:].tolist(), strict=True):
                answers[i] = tokenizer.decode(_until(ids, ends), skip_special_tokens=True)
            done += len(batch)
            if on_progress:
                on_progress(done, len(prompts))
    return answers


def nll(
    model: Any, encoded: Sequence[EncodedExample], *,
    pad_id: int, batch_size: int = 16, on_progress: Progress | None = None,
) -> list[tuple[float, int]]:
    """Summed negative log likelihood over an example's trained tokens, and their number; in the given order.

    The first token of an example follows nothing and is never counted. Log-softmax in float32 or wider, sums in
    float64. Logits are computed only at the positions that a batch needs, where the model's forward allows that.
    """
    import torch

    results: list[tuple[float, int]] = [(0.0, 0)] * len(encoded)
    chooses = _chooses_logits(model)
    done = 0
    with torch.inference_mode(), evaluating(model):
        for batch in _loss_batches(encoded, batch_size, vocabulary=_vocabulary(model)):
            rows = [encoded[i].input_ids for i in batch]
            input_ids, mask = _padded(rows, pad_id, side="right", device=_device(model))
            needed = sorted({position for i in batch for position in _predicting(encoded[i])})
            if needed:
                extra: dict[str, Any] = {}
                if chooses:
                    extra["logits_to_keep"] = torch.tensor(needed, device=input_ids.device)
                logits_BPV = model(input_ids=input_ids, attention_mask=mask, use_cache=False, **extra).logits
                if not chooses:
                    logits_BPV = logits_BPV[:, -input_ids.shape[1]:]  # prompt tuning puts its own in front
                columns = {position: column for column, position in enumerate(needed)} if chooses else {}
                for row, i in enumerate(batch):
                    results[i] = _example_nll(logits_BPV[row], encoded[i], columns)
            done += len(batch)
            if on_progress:
                on_progress(done, len(encoded))
    return results


def end_of_turn_ids(tokenizer: Any, model: Any) -> list[int]:
    """Every token id that ends an answer: the tokenizer's, the model's settings', and the chat template's own."""
    from ft_notebook.data import masks

    settings = getattr(model, "generation_config", None)
    found: list[int] = []
    for value in (tokenizer.eos_token_id, getattr(settings, "eos_token_id", None), masks.end_of_turn_ids(tokenizer)):
        found += [value] if isinstance(value, int) else list(value or ())
    return list(dict.fromkeys(found))


@contextmanager
def _greedy(model: Any, ends: list[int], pad_id: int, max_new_tokens: int) -> Iterator[Any]:
    """Our settings in the model's place: `generate` would fill what ours leave open from the model's own,
    whose repetition penalty changes answers and whose temperature warns."""
    from transformers import GenerationConfig

    config = GenerationConfig(
        do_sample=False, num_beams=1, use_cache=True, max_new_tokens=max_new_tokens,
        eos_token_id=ends or None, pad_token_id=pad_id)
    holders = [model] if _base(model) is model else [model, _base(model)]
    before = [holder.__dict__.get("generation_config") for holder in holders]
    for holder in holders:
        holder.generation_config = config
    try:
        yield config
    finally:
        for holder, own in zip(holders, before, strict=True):
            if own is None:
                del holder.generation_config
            else:
                holder.generation_config = own


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
    """columns: where a position's logits lie; empty if they lie at the position itself."""
    import torch

    positions = _predicting(example)
    if not positions:
        return 0.0, 0
    chosen = torch.tensor([columns.get(position, position) for position in positions], device=logits_PV.device)
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


def _padded(
    rows: Sequence[Sequence[int]], pad_id: int, *, side: str, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, both [B, T]."""
    import torch

    longest = max(len(row) for row in rows)
    ids = torch.full((len(rows), longest), pad_id, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for index, row in enumerate(rows):
        place = slice(longest - len(row), longest) if side == "left" else slice(0, len(row))
        ids[index, place] = torch.tensor(row, dtype=torch.long)
        mask[index, place] = 1
    return ids.to(device), mask.to(device)


def _chooses_logits(model: Any) -> bool:
    """Whether forward computes logits at chosen positions. Prompt tuning shifts positions, and must not."""
    if getattr(getattr(model, "active_peft_config", None), "is_prompt_learning", False):
        return False
    return "logits_to_keep" in inspect.signature(_base(model).forward).parameters


def _until(ids: Sequence[int], ends: Iterable[int]) -> list[int]:
    stops = [index for index, token in enumerate(ids) if token in ends]
    return list(ids[:stops[0]] if stops else ids)


def _pad_id(tokenizer: Any, ends: Sequence[int]) -> int:
    if tokenizer.pad_token_id is not None:
        return int(tokenizer.pad_token_id)
    return ends[0] if ends else 0


def _base(model: Any) -> Any:
    """The transformers model inside an adapter's wrapper, or the model itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _device(model: Any) -> torch.device:
    device: torch.device = next(model.parameters()).device
    return device


def _vocabulary(model: Any) -> int:
    return int(_base(model).config.get_text_config().vocab_size)
