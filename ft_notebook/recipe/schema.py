"""What a recipe may say: typed sections, one documented field each, defaults beside their reason.

Built by `parse.py` from YAML and by `ft_notebook.finetune(...)` from keywords. Never touches the
disk or a model. A field's description is its documentation in `%%finetune?` and in the docs.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel, ConfigDict, Field, model_validator

Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]

DEFAULT_MODEL = "smollm2-135m-instruct"


class Section(BaseModel):
    """A section of a recipe. `shorthand` is the field that a bare value sets (`model: NAME`)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class ModelSection(Section):
    """Which model is tuned."""

    name: str = Field(DEFAULT_MODEL, min_length=1, max_length=500,
                      description="The embedded default, a local folder, or a hub id.")
    revision: str | None = Field(None, max_length=100, description="Branch, tag or commit of a hub model.")


class DataSection(Section):
    """Where the examples come from and how they are read."""

    source: str = Field("", max_length=4096, description=(
        "A path, a glob, `sample:NAME`, a hub id, or the name of a DataFrame, Dataset or list in the notebook."))
    format: str = Field("auto", description="How rows become examples; found by itself unless named.")
    columns: dict[str, str] = Field(default_factory=dict, description=(
        "Which column plays which role, for example {prompt: question, completion: answer}."))
    system: str | None = Field(None, max_length=20_000, description=(
        "A system message put before every example that has none."))
    heldout: Fraction | str = Field(0.2, description=(
        "Share of the examples held out for evaluation, or the source of a file that holds them."))
    max_heldout: Positive = Field(500, description="At most this many examples are held out by a share.")
    split_seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of the split.")
    limit: Positive | None = Field(None, description="Use only the first rows.")
    max_tokens: int = Field(1024, ge=8, le=1_000_000, description=(
        "Longest example in tokens; a longer one is cut at its start of context, and counted."))
    train_on: Literal["assistant", "last", "all"] = Field("assistant", description=(
        "Which tokens carry loss: every assistant turn, the last one only, or all tokens."))


class ExpectSection(Section):
    """What the user says of the data; the checks hold it to that."""

    labels: list[str] = Field(default_factory=list, description="The only answers that there may be.")
    pattern: str | None = Field(None, max_length=2000, description="A regular expression that whole answers match.")
    json_schema: dict[str, Any] | None = Field(None, description="A JSON schema that answers, read as JSON, keep.")
    languages: list[str] = Field(default_factory=list, description=(
        "Languages that belong in the data, by code, such as [en, de]; found by their share by default."))
    slice_by: list[str] = Field(default_factory=list, description=(
        "Columns by whose values the rates of the answers are compared."))
    accept: list[str] = Field(default_factory=list, description=(
        "Names of checks whose findings do not keep the data from being trained on."))


class MethodSection(Section):
    """Which parameters train."""

    name: str = Field("qlora", description="qlora (4-bit base), lora (full-precision base), full, or a plugin's.")
    rank: int = Field(16, ge=1, le=1024, description="Rank of the adapter.")
    alpha: float = Field(32.0, gt=0, le=65536, allow_inf_nan=False, description=(
        "Adapter scale; alpha / rank is applied."))
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout in front of the adapter.")
    targets: Union[Literal["all-linear"], list[str]] = Field("all-linear", description=(
        "Modules that get an adapter: every linear layer but the head, or a list of names."))
    use_rslora: bool = Field(False, description="Scale by alpha / sqrt(rank).")
    use_dora: bool = Field(False, description="Weight-decomposed LoRA.")
    quant_type: Literal["nf4", "fp4"] = Field("nf4", description="4-bit code of the frozen weights (qlora).")
    double_quant: bool = Field(True, description="Quantize the quantization constants too (qlora).")
    options: dict[str, Any] = Field(default_factory=dict, description="Settings of a plugin's method.")


class ObjectiveSection(Section):
    """What training optimises."""

    name: str = Field("auto", description=(
        "sft (answers), text (continued pretraining), or a plugin's; found from the data."))


class TrainSection(Section):
    """How long and how hard."""

    epochs: float = Field(3.0, gt=0, le=1000, allow_inf_nan=False, description="Passes over the training examples.")
    max_steps: Positive | None = Field(None, description="Stop after this many optimizer steps.")
    learning_rate: float = Field(2e-4, gt=0, le=1, allow_inf_nan=False, description="Peak learning rate.")
    batch_size: int = Field(8, ge=1, le=4096, description="Examples in one forward pass.")
    batch_tokens: Positive | None = Field(None, description=(
        "Most tokens in one forward pass on a CPU, unless one example alone has more: a batch with more is computed in "
        "parts, as one batch. By default as many as memory holds."))
    accumulate: int = Field(1, ge=1, le=4096, description="Forward passes in one optimizer step.")
    schedule: Literal["linear", "cosine", "constant"] = Field("linear", description="Learning rate after warm-up.")
    warmup: float = Field(0.05, ge=0, le=1_000_000, allow_inf_nan=False, description=(
        "Share of the steps below 1, number of steps from 1 on."))
    weight_decay: float = Field(0.0, ge=0, le=1, description="Decoupled weight decay.")
    max_grad_norm: float = Field(1.0, gt=0, le=1e6, allow_inf_nan=False, description=(
        "Gradients are clipped to this norm."))
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of adapter weights, order and dropout.")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field("auto", description=(
        "Compute type; auto is bf16 where the device has it, else fp16 on a GPU and fp32 on a CPU."))
    gradient_checkpointing: bool = Field(False, description="Recompute activations to save memory.")
    length_aware: bool = Field(True, description="Batch examples of like length, in seeded order.")
    checkpoint_every: Positive | None = Field(None, description="Steps between checkpoints; by default ten a run.")
    keep_checkpoints: int = Field(2, ge=1, le=1000, description="Newest checkpoints kept besides the best.")
    early_stopping: Positive | None = Field(None, description=(
        "Stop after this many evaluations without a better held-out loss."))


class KernelsSection(Section):
    """How the layers of a run compute."""

    mode: Literal["auto", "fused", "dequantize", "off"] = Field("auto", description=(
        "For 4-bit weights, auto chooses by the layer's shape, the number of tokens and the GPU, on a CPU by the free "
        "memory; fused never keeps one dequantized; dequantize does; off leaves all to PEFT and bitsandbytes."))


class EvaluateSection(Section):
    """What is measured during and after training."""

    every: Positive | None = Field(None, description="Steps between evaluations; by default one an epoch.")
    samples: int = Field(3, ge=0, le=50, description="Fixed held-out prompts answered at every evaluation.")
    at_end: bool = Field(True, description="Compare base and tuned model after training.")
    metrics: list[str] = Field(default_factory=list, description=(
        "Metrics of the comparison; chosen from the targets by default."))
    limit: Positive = Field(200, description="At most this many held-out examples are answered in the comparison.")
    max_new_tokens: Positive | None = Field(None, description=(
        "Longest answer; by default half as long again as the longest target."))
    bootstrap: int = Field(2000, ge=100, le=100_000, description="Bootstrap resamples for intervals.")


class ReportSection(Section):
    """What `%evaluate` asks after a run, and holds the tuned model against."""

    contenders: list[str] = Field(default_factory=lambda: ["base", "few-shot", "retrieved"], description=(
        "What the tuned model must beat: base (the prompt alone), few-shot (the best examples in front of it), "
        "retrieved (the training examples most like it), or other runs by name."))
    limit: Positive = Field(200, description="At most this many examples are answered.")
    slices: list[str] = Field(default_factory=list, description=(
        "Columns of the data whose values are looked at one by one, besides length, language, topic and label."))
    forgetting: bool = Field(True, description="Ask general questions before and after, to see what was forgotten.")
    questions: str | None = Field(None, max_length=4096, description=(
        "A file of general questions to ask besides, one JSON object a line: field, question, right, wrong."))
    tasks: list[str] = Field(default_factory=list, description=(
        "Tasks of lm-eval to run before and after besides; needs the extra `eval`."))
    tasks_folder: str | None = Field(None, max_length=4096, description=(
        "A folder with your own lm-eval tasks, of which the names under `tasks` are then."))
    hard: bool = Field(True, description=(
        "Try inputs that are hard to handle: vague, hostile, misspelt, with injected orders."))
    suite: str | None = Field(None, max_length=4096, description=(
        "A file of hard inputs to try besides, one JSON object a line."))
    wanted: Fraction | None = Field(None, description=(
        "Share of right answers wanted; what the model is less sure of is for a person."))
    price_in: float | None = Field(None, ge=0, allow_inf_nan=False, description=(
        "What a million tokens of prompts cost you, in any currency."))
    price_out: float | None = Field(None, ge=0, allow_inf_nan=False, description=(
        "What a million tokens of answers cost you."))
    judge: str | None = Field(None, max_length=500, description=(
        "A model that says which of two answers is better, asked in both orders; as `model:` names one."))


class GatesSection(Section):
    """What a version must keep to be used."""

    conditions: list[str] = Field(default_factory=list, description=(
        'Conditions such as "exact_match >= 0.8", "forgetting <= 0.02", "no slice below 0.6".'))


class OutputSection(Section):
    """What is left behind besides the run folder."""

    folder: str | None = Field(None, max_length=4096, description="Copy the finished adapter to this folder.")


SHORTHANDS = {"model": "name", "data": "source", "method": "name", "objective": "name", "kernels": "mode",
              "gates": "conditions", "output": "folder"}
"""Section to the field that a bare value sets: `model: NAME` is `model: {name: NAME}`."""


class Recipe(Section):
    """A whole run in one value. `data.source` is required; all else has a default."""

    model: ModelSection = Field(default_factory=ModelSection)  # type: ignore[arg-type]
    data: DataSection
    expect: ExpectSection = Field(default_factory=ExpectSection)  # type: ignore[arg-type]
    method: MethodSection = Field(default_factory=MethodSection)  # type: ignore[arg-type]
    objective: ObjectiveSection = Field(default_factory=ObjectiveSection)  # type: ignore[arg-type]
    train: TrainSection = Field(default_factory=TrainSection)  # type: ignore[arg-type]
    kernels: KernelsSection = Field(default_factory=KernelsSection)  # type: ignore[arg-type]
    evaluate: EvaluateSection = Field(default_factory=EvaluateSection)  # type: ignore[arg-type]
    report: ReportSection = Field(default_factory=ReportSection)  # type: ignore[arg-type]
    gates: GatesSection = Field(default_factory=GatesSection)
    output: OutputSection = Field(default_factory=OutputSection)  # type: ignore[arg-type]

    @model_validator(mode="before")
    @classmethod
    def _expand_shorthands(cls, raw: Any) -> Any:
        if not isinstance(raw, dict):
            return raw
        return {
            key: {SHORTHANDS[key]: value}
            if key in SHORTHANDS and isinstance(value, str | list) else value
            for key, value in raw.items()
        }

    def digest(self) -> str:
        """SHA-256 over everything that decides what is trained; what is only asked of it does not."""
        values = self.model_dump(exclude={"output", "expect", "report", "gates"})
        if self.kernels == KernelsSection():  # type: ignore[call-arg]
            del values["kernels"]   # runs from before there was such a section have the same digest
        if self.train.batch_tokens is None:
            del values["train"]["batch_tokens"]     # and such a field
        text = json.dumps(values, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()
