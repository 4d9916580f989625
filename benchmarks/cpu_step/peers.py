"""The other programs, as their users run them: transformers, PEFT, bitsandbytes, TRL; nothing of ours but the tokens.

Each function trains the batches it is given, in their order, and returns the loss of every step. Everything is at
its defaults except what is named here: what makes the trainings the same, and what writes files.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    DataCollatorForSeq2Seq,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from benchmarks.cpu_step.examples import encode, random_batches, recipe_of, sorted_batches
from benchmarks.cpu_step.job import LEARNING_RATE, Clock, Job, Measured, digest_of
from ft_notebook.data.examples import EncodedExample

Batches = Sequence[Sequence[EncodedExample]]
IGNORED = -100


def run_peer(name: str, job: Job) -> Measured:
    """Train a job by the peer of this name."""
    train, order = PEERS[name]
    with tempfile.TemporaryDirectory(prefix="cpu-step-") as place:
        recipe, tokenizer = recipe_of(job, Path(place)), load_tokenizer(job.model)
        arrange = sorted_batches if order == "sorted" else random_batches
        batches = arrange(encode(recipe, tokenizer), recipe)
        clock = Clock()
        losses = train(job, batches, tokenizer, clock, place)
    trained = [example for batch in batches for example in batch]
    return Measured(
        contender=name, order=order, steps=len(losses), examples=digest_of(example.id for example in trained),
        tokens=sum(example.tokens for example in trained),
        trained_tokens=sum(example.trained_tokens for example in trained), seconds=clock.seconds,
        cpu_seconds=clock.cpu_seconds, loaded_rss_mb=clock.loaded_rss_mb, peak_rss_mb=clock.peak_rss_mb,
        planned_mb=None, loss_curve=losses,
    )


def load_tokenizer(folder: Path) -> Any:
    """With a pad token, whatever it is: padding carries no loss."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_base(folder: Path) -> Any:
    """The model in NF4 with nested constants, computing in float32."""
    import bitsandbytes as bnb

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, quantization_config=BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32))
    for layer in model.modules():
        if isinstance(layer, bnb.nn.Linear4bit):
            layer.support_avx512bf16_for_cpu = False    # a repacked weight passes no gradient
    return model


def lora_config(rank: int) -> LoraConfig:
    """Adapters on every linear layer but the head."""
    return LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules="all-linear", bias="none",
                      task_type="CAUSAL_LM")


def load_adapted(job: Job) -> Any:
    """A model whose adapter has the job's seed: the same weights in every contender."""
    base = load_base(job.model)
    set_seed(job.seed)
    return get_peft_model(base, lora_config(job.rank))


def train_by_loop(job: Job, batches: Batches, tokenizer: Any, clock: Clock, place: str) -> list[float]:
    """The plain loop: padded batches, the model's own loss, AdamW, clipped gradients, no checkpointing."""
    model = load_adapted(job)
    model.train()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=0.0)
    collate = DataCollatorForSeq2Seq(tokenizer)
    losses: list[float] = []
    clock.start()
    for batch in batches:
        loss = model(**collate([features_of(example) for example in batch]), use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    clock.stop()
    return losses


def train_by_trainer(job: Job, batches: Batches, tokenizer: Any, clock: Clock, place: str) -> list[float]:
    """transformers' Trainer with its padding collator."""
    trainer = Trainer(
        model=load_adapted(job), args=TrainingArguments(**_arguments(job, place)), train_dataset=_dataset(batches),
        data_collator=DataCollatorForSeq2Seq(tokenizer), processing_class=tokenizer, callbacks=[_Timed(clock)],
    )
    trainer.train()
    return _losses(trainer)


def train_by_trl(job: Job, batches: Batches, tokenizer: Any, clock: Clock, place: str) -> list[float]:
    """TRL's SFTTrainer as it comes, but for bf16.

    That is: gradient checkpointing, adapters of a 4-bit model rounded to bfloat16, no packing, a head that never
    keeps all logits. Examples that are longer than its limit are not cut.
    """
    from trl import SFTTrainer

    trainer = SFTTrainer(model=load_base(job.model), peft_config=lora_config(job.rank), args=_trl_arguments(
        job, batches, place), train_dataset=_dataset(batches), processing_class=tokenizer, callbacks=[_Timed(clock)])
    trainer.train()
    return _losses(trainer)


def train_by_trl_in_float32(job: Job, batches: Batches, tokenizer: Any, clock: Clock, place: str) -> list[float]:
    """The same with the adapters put back to float32 before the optimizer is made."""
    from trl import SFTTrainer

    model = load_adapted(job)
    adapters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    originals = [parameter.detach().clone() for parameter in adapters]
    trainer = SFTTrainer(model=model, args=_trl_arguments(job, batches, place), train_dataset=_dataset(batches),
                         processing_class=tokenizer, callbacks=[_Timed(clock)])
    for parameter, original in zip(adapters, originals, strict=True):
        parameter.data = original
    trainer.train()
    return _losses(trainer)


def features_of(example: EncodedExample) -> dict[str, list[int]]:
    """What a collator pads."""
    labels = [token if is_trained else IGNORED
              for token, is_trained in zip(example.input_ids, example.is_trained, strict=True)]
    return {"input_ids": example.input_ids, "labels": labels}


PEERS: dict[str, tuple[Callable[[Job, Batches, Any, Clock, str], list[float]], str]] = {
    "peft-random": (train_by_loop, "random"),
    "peft-sorted": (train_by_loop, "sorted"),
    "peft-sorted-large-pages": (train_by_loop, "sorted"),
    "hf-trainer": (train_by_trainer, "sorted"),
    "trl": (train_by_trl, "random"),
    "trl-float32": (train_by_trl_in_float32, "random"),
}


class _Timed(TrainerCallback):  # type: ignore[misc]
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def on_train_begin(self, args: Any, state: Any, control: Any, **keywords: Any) -> None:
        self._clock.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **keywords: Any) -> None:
        self._clock.stop()


def _dataset(batches: Batches) -> Dataset:
    """All epochs, one after the other, for a sampler that keeps the order."""
    return Dataset.from_list([features_of(example) for batch in batches for example in batch])


def _arguments(job: Job, place: str) -> dict[str, Any]:
    same = {"per_device_train_batch_size": job.batch, "num_train_epochs": 1, "learning_rate": LEARNING_RATE,
            "lr_scheduler_type": "constant", "seed": job.seed, "train_sampling_strategy": "sequential"}
    return {**same, "use_cpu": True, "output_dir": place, "logging_steps": 1, "save_strategy": "no",
            "report_to": "none", "disable_tqdm": True}


def _trl_arguments(job: Job, batches: Batches, place: str) -> Any:
    from trl import SFTConfig

    longest = max(example.tokens for batch in batches for example in batch)
    return SFTConfig(**_arguments(job, place), bf16=False, max_length=max(longest, 1024))


def _losses(trainer: Any) -> list[float]:
    return [float(entry["loss"]) for entry in trainer.state.log_history if "loss" in entry]
