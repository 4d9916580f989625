"""The benchmark of the CPU path compares what is comparable. No time is asserted here."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.cpu_step.examples import pool_of, python_docs, uniform  # noqa: E402
from benchmarks.cpu_step.job import Job, peak_rss_mb  # noqa: E402
from benchmarks.cpu_step.page import write_page  # noqa: E402
from benchmarks.cpu_step.rounds import CONTENDERS, YARDSTICK, Failed, run_rounds  # noqa: E402
from ft_notebook.data.examples import EncodedExample  # noqa: E402

STEPS, BATCH = 3, 4


@pytest.fixture(scope="module")
def job(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Job:
    data = tmp_path_factory.mktemp("cpu_step") / "rows.json"
    data.write_text(json.dumps(python_docs()[:40]))
    return Job(model=tiny_model, data=data, steps=STEPS, batch=BATCH, rank=4, threads=1, seed=3)


@pytest.fixture(scope="module")
def alone(job: Job) -> list[str]:
    """What ours prints, by the interface for one contender."""
    done = subprocess.run([sys.executable, "-m", "benchmarks.cpu_step", *job.arguments(), "--json"], cwd=ROOT,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def trained(job: Job, alone: list[str]) -> dict[str, dict]:
    """All contenders' figures; the peers in this process."""
    from benchmarks.cpu_step.peers import PEERS, run_peer

    return {"ours": json.loads(alone[-1])} | {name: run_peer(name, job).to_json() for name in PEERS}


def test_the_last_line_of_one_contender_is_its_figures(alone):
    assert len(alone) == 1
    figures = json.loads(alone[-1])
    for name in ("tokens_per_s", "tokens_per_cpu_s", "peak_rss_mb"):
        assert math.isfinite(figures[name]) and figures[name] > 0
    assert len(figures["loss_curve"]) == STEPS
    assert all(math.isfinite(loss) for loss in figures["loss_curve"])
    assert figures["tokens_per_s"] == pytest.approx(figures["tokens"] / figures["seconds"])


def test_all_contenders_train_the_same_examples_tokens_and_steps(trained):
    assert set(trained) == set(CONTENDERS)
    for key in ("examples", "tokens", "trained_tokens", "steps"):
        assert len({figures[key] for figures in trained.values()}) == 1, key
    assert all(len(figures["loss_curve"]) == STEPS for figures in trained.values())


def test_contenders_with_the_same_order_and_adapter_have_the_same_losses(trained):
    for name, plain in (("ours", "peft-sorted"), ("hf-trainer", "peft-sorted"), ("trl-float32", "peft-random")):
        assert trained[name]["loss_curve"] == pytest.approx(trained[plain]["loss_curve"], rel=2e-6), name
    # Adapters that are rounded start with the same loss, since they add nothing yet.
    assert trained["trl"]["loss_curve"][0] == pytest.approx(trained["peft-random"]["loss_curve"][0], rel=2e-6)


def test_only_trl_as_it_comes_rounds_its_adapters(job, monkeypatch):
    from benchmarks.cpu_step import peers

    monkeypatch.setattr(peers, "LEARNING_RATE", 0.02)      # large steps show what the first few of small ones hide
    curves = {name: peers.run_peer(name, job).loss_curve for name in ("peft-random", "trl", "trl-float32")}
    assert curves["trl-float32"] == pytest.approx(curves["peft-random"], rel=1e-5)
    assert curves["trl"] != pytest.approx(curves["peft-random"], rel=1e-5)


def test_the_seed_decides_the_adapter(job):
    from benchmarks.cpu_step.peers import load_adapted

    def adapter(seed: int) -> list:
        named = load_adapted(replace(job, seed=seed)).named_parameters()
        return [parameter for name, parameter in named if "lora_A" in name]

    first, again, other = adapter(3), adapter(3), adapter(4)
    assert all(one.equal(two) for one, two in zip(first, again, strict=True))
    assert not any(one.equal(two) for one, two in zip(first, other, strict=True))


def test_the_pool_fills_the_steps_in_as_few_epochs_as_the_data_allows(job):
    rows = [{"messages": [{"role": "user", "content": str(number)}]} for number in range(10)]
    pool = pool_of(rows, replace(job, steps=6, batch=4))
    assert pool.epochs == 3 and len(pool.rows) == 8
    assert len({row["messages"][0]["content"] for row in pool.rows}) == 8
    assert pool_of(rows, replace(job, steps=5, batch=2)).epochs == 1
    with pytest.raises(SystemExit, match="do not fill"):
        pool_of(rows, replace(job, steps=3, batch=11))


def test_uniform_conversations_have_one_length_and_open_differently(tiny_model):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    texts = [tokenizer.apply_chat_template(row["messages"], tokenize=False)
             for row in uniform(tokenizer, tokens=160, count=6)]
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    assert {len(each) for each in ids} == {160}
    header = len(tokenizer("<|im_start|>system\n", add_special_tokens=False)["input_ids"])
    assert len({tuple(each[:header + 12]) for each in ids}) == 6


def test_work_is_what_a_training_step_multiplies(tiny_model):
    import torch
    from peft import get_peft_model
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import AutoModelForCausalLM

    from benchmarks.cpu_step.gemm import shape_of
    from benchmarks.cpu_step.peers import lora_config

    tokens, rank, shape = 24, 4, shape_of(tiny_model)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_model, attn_implementation="eager"),
                           lora_config(rank))
    ids = torch.arange(tokens)[None]
    with FlopCounterMode(display=False) as counter:
        model(input_ids=ids, labels=ids, use_cache=False).loss.backward()
    first = model.get_base_model().model.layers[0].self_attn
    projections = [each.base_layer.weight.shape for each in (first.q_proj, first.k_proj, first.v_proj)]
    # Nothing that trains is below the first layer's inputs; eager attention also multiplies what the mask hides.
    left_out = sum(2 * tokens * (n * k + rank * k) for n, k in projections)
    hidden = 12 * shape.attention * shape.layers * (tokens**2 - tokens * (tokens + 1) // 2)
    example = EncodedExample("x", 1, list(range(tokens)), [True] * tokens)
    assert shape.work([example], rank=rank) == counter.get_total_flops() + left_out - hidden


def test_a_round_in_which_contenders_trained_something_else_is_refused(job, monkeypatch):
    from benchmarks.cpu_step import rounds

    def run_alone(name: str, job: Job) -> dict:
        if name == YARDSTICK:
            return {"peak_gflops": 1.0}
        return figures_of(tokens=100 if name == "ours" else 101)

    monkeypatch.setattr(rounds, "run_alone", run_alone)
    with pytest.raises(Failed, match="did not train the same"):
        run_rounds(job, ["ours", "trl"], rounds=1, say=lambda sentence: None)


def test_the_page_takes_ratios_within_a_round_and_shares_of_the_peak(tmp_path):
    yardstick = {"peak_gflops": 100.0, "mix_gflops": 80.0, "work_gflop": 500.0, "whole_head_gflop": 600.0,
                 "gflop_a_token": 0.5}
    rounds = [
        {"ours": figures_of(seconds=10.0, peak=400.0), "peft-sorted": figures_of(seconds=20.0), YARDSTICK: yardstick},
        # A round in which the whole machine was half as fast.
        {"ours": figures_of(seconds=20.0, peak=400.0), "peft-sorted": figures_of(seconds=60.0), YARDSTICK: yardstick},
        {"ours": figures_of(seconds=10.0, peak=400.0), "peft-sorted": figures_of(seconds=25.0), YARDSTICK: yardstick},
    ]
    about = {"machine": "a CPU", "versions": {"torch": "2"},
             "job": {"model": "m", "rank": 16, "steps": 2, "batch": 8, "threads": 2, "data": "d"}}
    write_page(tmp_path / "page.md", {"compare": {"d": {**about, "rounds": rounds}}})
    row = next(line for line in (tmp_path / "page.md").read_text().splitlines() if line.startswith("| PEFT"))
    cells = [cell.strip() for cell in row.split("|")]
    assert "2.50x (2.00–3.00)" in cells
    assert "0.40" in cells
    assert "20 % (8–25)" in cells      # 500 GFLOP in 25, 60 and 20 s, of 100 GFLOP/s


def test_peak_memory_is_this_process_own():
    before = peak_rss_mb()
    held = bytearray(300_000_000)
    assert peak_rss_mb() >= 299 and len(held)
    done = subprocess.run([sys.executable, "-c", "from benchmarks.cpu_step.job import peak_rss_mb; print(peak_rss_mb())"],
                          cwd=ROOT, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 250 and before > 0


def figures_of(*, tokens: int = 1000, seconds: float = 10.0, peak: float = 1000.0) -> dict:
    return {"examples": "e", "steps": 2, "tokens": tokens, "trained_tokens": 500, "order": "sorted",
            "loss_curve": [2.0, 1.0], "seconds": seconds, "cpu_seconds": seconds, "tokens_per_s": tokens / seconds,
            "tokens_per_cpu_s": tokens / seconds, "peak_rss_mb": peak, "loaded_rss_mb": 300.0, "planned_mb": 410.0}
