"""TRL's SFTTrainer, told what we know better: the batches, the tokens that carry loss, and when to stop.

Public seams only: overridden methods that transformers and TRL document for it, and a callback
(`conductor.py`). Used by the worker.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, Sampler
from trl import SFTConfig, SFTTrainer

from ft_notebook.data.examples import EncodedExample
from ft_notebook.models.adapters import base_of
from ft_notebook.models.cpu_path import CpuPath
from ft_notebook.models.load import Precision, device_name
from ft_notebook.recipe.schema import TrainSection
from ft_notebook.train.kernel_loss import IGNORED
from ft_notebook.train.kernels import RunKernels
from ft_notebook.train.packed import PackedBatch, pack, packed_loss, split
from ft_notebook.train.schedule import Schedule, learning_rate_factor

LIGER = {"rope": True, "rms_norm": True, "swiglu": True, "cross_entropy": False, "fused_linear_cross_entropy": False}
"""What of liger-kernel computes; the loss is ours."""
TRAINED_TOKENS = "trained_tokens"   # of a batch, counted where it is collated
PACKED = "packed"                   # the parts of a batch as the CPU path takes them


class ScheduledBatches(Sampler[list[int]]):
    """The batches of a whole run, in order."""

    def __init__(self, batches: Sequence[list[int]]) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self._batches)

    def __len__(self) -> int:
        return len(self._batches)


class ScheduledTrainer(SFTTrainer):  # type: ignore[misc]
    """SFTTrainer over a fixed schedule; `on_loss` is told every batch's loss before its backward pass."""

    def __init__(self, *, schedule: Schedule, decay: str, encoded: Sequence[EncodedExample],
                 on_loss: Callable[[torch.Tensor], None], kernels: RunKernels, most_tokens: int,
                 **arguments: Any) -> None:
        trainable = [p for p in arguments["model"].parameters() if p.requires_grad]
        originals = [p.detach().clone() for p in trainable]
        super().__init__(**arguments)
        # SFTTrainer rounds the adapters of a 4-bit model to bfloat16, which halves the speed of a CPU
        # without it and costs precision everywhere.
        for parameter, original in zip(trainable, originals, strict=True):
            parameter.data = original
        self._schedule, self._decay = schedule, decay
        self._encoded = encoded
        self._on_loss = on_loss
        self._kernel_loss, self._cpu_path = kernels.loss, kernels.cpu_path
        self._most_tokens = most_tokens
        self._takes_positions = "logits_to_keep" in inspect.signature(type(base_of(self.model)).forward).parameters
        self.model_accepts_loss_kwargs = True  # compute_loss divides by the trained tokens of the whole step

    def get_train_dataloader(self) -> DataLoader[Any]:
        loader: DataLoader[Any] = DataLoader(
            list(self._encoded),  # type: ignore[arg-type]
            batch_sampler=ScheduledBatches(self._schedule.batches),
            collate_fn=self._collate,
            generator=torch.Generator(),  # its own, so that making an iterator draws nothing from the run's
        )
        return self.accelerator.prepare(loader)  # type: ignore[no-any-return]

    def _collate(self, batch: Sequence[EncodedExample]) -> dict[str, Any]:
        if self._cpu_path is not None:
            return collate_packed(batch, share_prefix=not self._cpu_path.noisy, most_tokens=self._most_tokens)
        return collate(batch, pad_id=self.processing_class.pad_token_id)

    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None) -> LambdaLR:
        factor = partial(learning_rate_factor, steps=num_training_steps, kind=self._decay,
                         warmup_steps=self._schedule.warmup_steps)
        # The scheduler counts the steps that are done.
        self.lr_scheduler: LambdaLR = LambdaLR(optimizer or self.optimizer, lambda done: factor(done + 1))
        self._created_lr_scheduler = True
        return self.lr_scheduler

    def compute_loss(self, model: Any, inputs: dict[str, torch.Tensor], return_outputs: bool = False,
                     num_items_in_batch: torch.Tensor | int | None = None) -> Any:
        """Mean cross entropy over the trained tokens of the optimizer step; the head runs on their positions only."""
        trained = int(inputs.pop(TRAINED_TOKENS))
        if self._cpu_path is not None:
            items = trained if num_items_in_batch is None else num_items_in_batch
            return self._loss_of_parts(self._cpu_path, cast(list[PackedBatch], inputs[PACKED]), items)
        if return_outputs or not self._takes_positions:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        if self._kernel_loss is not None and trained:
            with self.accelerator.autocast():   # which is around the forward of the whole model only
                loss = self._kernel_loss(inputs, num_items_in_batch, trained=trained)
        else:
            loss = masked_loss(model, inputs, num_items_in_batch)
        self._on_loss(loss)
        return loss

    def _loss_of_parts(self, path: CpuPath, parts: Sequence[PackedBatch], items: torch.Tensor | int) -> torch.Tensor:
        """The sum of the parts' losses; all but the last part have their backward pass done, so that one is kept."""
        total = torch.zeros(())
        for part in parts[:-1]:
            loss = packed_loss(path, part, items)
            self._on_loss(loss)
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        last = packed_loss(path, parts[-1], items)
        self._on_loss(last)
        return last + total

    def create_model_card(self, *arguments: Any, **keywords: Any) -> None:
        """Checkpoints carry no card; the run folder says what they are."""


def masked_loss(model: Any, inputs: dict[str, torch.Tensor], items: torch.Tensor | int | None) -> torch.Tensor:
    """Summed cross entropy of the labelled tokens over `items` (their number, if None).

    inputs: input_ids, attention_mask and labels, all [B, T]. A position is kept if any row of the batch
    predicts a labelled token there; logits are [B, kept, vocabulary] instead of [B, T, vocabulary].
    """
    labels_BT = inputs["labels"][:, 1:]
    kept = (labels_BT != IGNORED).any(dim=0).nonzero().flatten()
    logits = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"],
                   logits_to_keep=kept, use_cache=False).logits
    targets = labels_BT[:, kept]
    is_trained = targets != IGNORED
    total = torch.nn.functional.cross_entropy(logits[is_trained].float(), targets[is_trained], reduction="sum")
    return total / (is_trained.sum() if items is None else items)


def collate(batch: Sequence[EncodedExample], *, pad_id: int) -> dict[str, Any]:
    """Right-padded input_ids, attention_mask and labels, each int64 [B, T], and how many labels are predicted.

    Padding never carries loss.
    """
    width = max(example.tokens for example in batch)
    input_ids = torch.full((len(batch), width), pad_id)
    labels = torch.full((len(batch), width), IGNORED)
    attention = torch.zeros((len(batch), width), dtype=torch.long)
    for row, example in enumerate(batch):
        ids = torch.tensor(example.input_ids)
        input_ids[row, :example.tokens] = ids
        labels[row, :example.tokens] = torch.where(torch.tensor(example.is_trained), ids, IGNORED)
        attention[row, :example.tokens] = 1
    return {"input_ids": input_ids, "attention_mask": attention, "labels": labels,
            TRAINED_TOKENS: int((labels[:, 1:] != IGNORED).sum())}


def collate_packed(batch: Sequence[EncodedExample], *, share_prefix: bool, most_tokens: int = 0) -> dict[str, Any]:
    """The batch without padding, in parts, and labels int64 [1, 1 + trained tokens], for the Trainer counts those."""
    parts = [pack(part, share_prefix=share_prefix) for part in split(batch, most_tokens)]
    targets = [part.targets_N.repeat_interleave(part.counts_N) for part in parts]
    return {"labels": torch.cat([torch.tensor([IGNORED]), *targets])[None], PACKED: parts,
            TRAINED_TOKENS: sum(part.trained for part in parts)}


def training_arguments(train: TrainSection, schedule: Schedule, *, folder: Path, precision: Precision,
                       has_liger: bool = False) -> SFTConfig:
    """The recipe in TRL's words. Checkpoints, evaluation and logs are the conductor's."""
    return SFTConfig(
        output_dir=str(folder),
        max_steps=schedule.steps,
        per_device_train_batch_size=train.batch_size,
        gradient_accumulation_steps=train.accumulate,
        learning_rate=train.learning_rate,
        weight_decay=train.weight_decay,
        max_grad_norm=train.max_grad_norm,
        optim="adamw_torch_fused",
        seed=train.seed,
        data_seed=train.seed,
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        use_cpu=device_name() == "cpu",
        gradient_checkpointing=train.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False} if train.gradient_checkpointing else None,
        use_liger_kernel=has_liger,
        liger_kernel_config=dict(LIGER) if has_liger else None,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        save_strategy="no",
        eval_strategy="no",
        logging_strategy="steps",
        logging_steps=1,
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        dataloader_num_workers=0,
        dataloader_pin_memory=False,
    )
