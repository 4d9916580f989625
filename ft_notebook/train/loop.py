"""One loop of the trainer: from a checkpoint, or from the start, to the end of the schedule or where it is left."""

from __future__ import annotations

import gc
from contextlib import suppress
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import PrinterCallback

from ft_notebook.train.asked import TrainingLeft
from ft_notebook.train.conductor import Conductor
from ft_notebook.train.kernels import RunKernels
from ft_notebook.train.trainer import ScheduledTrainer, training_arguments


def run_trainer(model: Any, conductor: Conductor, checkpoint: Path | None, *, folder: Path,
                kernels: RunKernels) -> None:
    """Train by the schedule that holds now. Checkpoints are staged in `folder`.

    A second loop with the same model goes on from a checkpoint exactly as a new process would.
    """
    setting = conductor.asked.setting
    train = setting.recipe.train
    first = setting.data.train_tokens[0].input_ids
    trainer = ScheduledTrainer(
        model=model,
        args=training_arguments(train, setting.schedule, folder=folder, precision=setting.precision,
                                has_liger=kernels.has_liger),
        # SFTTrainer wants a Dataset to look at; the batches come from the schedule.
        train_dataset=Dataset.from_dict({"input_ids": [first], "labels": [first]}),
        processing_class=setting.tokenizer,
        callbacks=[conductor],
        schedule=setting.schedule,
        decay=train.schedule,
        encoded=setting.data.train_tokens,
        on_loss=conductor.note_loss,
        kernels=kernels,
        most_tokens=setting.plan.batch_tokens,
    )
    trainer.remove_callback(PrinterCallback)
    with suppress(TrainingLeft):
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    # The model keeps the precision that this trainer put around its forward: the next one adds none to it.
    del trainer
    gc.collect()    # the optimizer's state, before another one is made
