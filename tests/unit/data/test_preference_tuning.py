"""Preference data that a review saved are what TRL's preference tuning reads, as they are."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from answered import ten

from ft_notebook.data.examples import Message
from ft_notebook.notebook.review.reviewing import review_pairs


def test_a_saved_review_trains_a_step_of_dpo_with_no_column_renamed(tiny_model, tmp_path):
    import torch
    from datasets import load_dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import DPOConfig, DPOTrainer

    asked = {"r1": (Message("system", "be brief"), Message("user", "hi"), Message("assistant", "ho"), Message("user", "?"))}
    review = review_pairs(ten(), reviewer="ana", folder=tmp_path / "reviews", conversations=asked)
    while (item := review.next()) is not None:
        review.say(item, "left" if dict(item.texts)["left"].startswith("tuned") else "right")
    version = review.save()
    saved = load_dataset("parquet", data_files=str(version.path / "data.parquet"), split="train", cache_dir=str(tmp_path / "cache"))
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    settings = DPOConfig(str(tmp_path / "out"), max_steps=1, per_device_train_batch_size=len(saved), learning_rate=1e-3,
                         use_cpu=True, report_to=[], save_strategy="no", bf16=False, seed=3, disable_tqdm=True)
    trainer = DPOTrainer(model, args=settings, train_dataset=saved, processing_class=AutoTokenizer.from_pretrained(tiny_model))
    trainer.train()

    one = next(row for row in saved if len(row["prompt"]) == 4)
    assert one["chosen"] == [{"role": "assistant", "content": "tuned says 1"}] and one["rejected"][0]["content"] == "other says 1"
    assert len(saved) == 10 and abs(trainer.state.log_history[-1]["train_loss"] - 0.6931) < 1e-3, "log 2: policy and reference are one model yet"
    first = trainer.train_dataset[0]
    read = trainer.processing_class.decode(first["prompt_ids"])
    assert read.endswith("<|im_start|>assistant\n") and any(row["prompt"][-1]["content"] in read for row in saved)
    assert trainer.processing_class.decode(first["chosen_ids"]).startswith("tuned says")
    assert trainer.processing_class.decode(first["rejected_ids"]).startswith("other says")
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())
    assert any(not torch.equal(before[name], parameter) for name, parameter in model.named_parameters())
