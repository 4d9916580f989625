"""The figures of the benchmark as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.cpu_step.rounds import CONTENDERS, YARDSTICK, Round, Spread, ratios, share_of_peak, spread

BASELINES = {"random": "peft-random", "sorted": "peft-sorted"}      # of the loss, by the order of the batches
_SHOWN_STEPS = 8

_INTRODUCTION = """\
# A QLoRA step on a CPU

Written by `python -m benchmarks.cpu_step` (the comparison) and `python -m benchmarks.cpu_step --grow` (how cost grows).
Every figure comes from a process of its own; the contenders of a round run one after the other, each round starts with
another one. Figures are medians over the rounds with the least and the most in brackets; ratios are taken within a
round first. All contenders train the same model in NF4 with nested constants, the same adapter from the same initial
weights (alpha twice the rank, every linear layer but the head), the same examples in the same number of optimizer steps
of the same size, with loss on the assistant's tokens only, AdamW at a constant rate and gradients clipped to 1; the
benchmark refuses a round where tokens or examples differ. Tokens are real: padding does not count.
"""

_METHOD = """\
## How it was measured

- **Contenders.** Everything is at its defaults except what makes the trainings the same, and what would write files.
  The plain loop computes the model's own loss on padded batches, without gradient checkpointing. "Sorted by length"
  is the schedule of our own trainer: batches of like length, in random order; transformers' Trainer gets the same.
  TRL as it comes means gradient checkpointing, adapters rounded to bfloat16 (it does so for 4-bit models whatever
  `bf16` says), no packing, and a head that keeps no logits; only `bf16=False` is set, and its default random
  order is the plain loop's. With float32 adapters they are put back before the optimizer is made.
- **Ours** is a run as a notebook starts it: run folder, event log and worker process included. The worker is started
  with the environment that the package gives it, large pages of memory included; one row shows what those alone
  do for the best peer.
- **Time** runs from the first step to the end of the last one, for ours from before the trainer is made. CPU time is
  user and system time of all threads. No step is left out as warm-up.
- **Peak memory** is the largest resident size of the training process, loading and quantizing the model
  included; "before" is what it had been when the first step began.
- **Work** of a token is counted from the model's layers (weights of N x K, rank R): frozen weights 4 N K, adapters
  6 R (N + K), the head 4 V D on trained tokens only, causal attention 12 x heads x head size a layer and pair of
  tokens. Padding, logits of prompts and repeated forwards are no work.
- **The GEMM peak** is what fp32 `torch.mm` reaches at best, forward and transposed, on the best of the model's shapes
  with as many rows as a batch has tokens, measured in every round; "all shapes" weighs all of them as the model has
  them.
"""


def write_page(path: Path, kept: Mapping[str, Mapping[str, Any]]) -> None:
    """Write what was kept of the comparison and of the growth."""
    parts = [_INTRODUCTION]
    parts += [_comparison(name, part) for name, part in kept.get("compare", {}).items()]
    if kept.get("grow"):
        parts.append(_growth(list(kept["grow"].values())))
    path.write_text("\n".join([*parts, _METHOD]), encoding="utf-8")


def _comparison(name: str, part: Mapping[str, Any]) -> str:
    rounds: list[Round] = part["rounds"]
    contenders = [contender for contender in CONTENDERS if contender in rounds[0]]
    first = rounds[0][contenders[0]]
    job = part["job"]
    lines = [
        f"## {name}", "", f"{_where(part)}.", "",
        f"{job['model']}, rank {job['rank']}, {job['steps']} steps of {job['batch']} examples: {first['tokens']:,} "
        f"tokens, {first['trained_tokens']:,} of them trained; threads: {job['threads']}, {len(rounds)} "
        f"{'round' if len(rounds) == 1 else 'rounds'}. {_yardstick(rounds)}", "",
        "| | tokens/s | tokens per CPU second | ours is faster by | by CPU time | peak MB (before) | ours, share of it "
        "| share of GEMM peak | of all shapes' |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_row(contender, rounds) for contender in contenders),
        "",
        "With the head counted on every token, as a model's size times four does: "
        + ", ".join(f"{contender} {_share(rounds, contender, work='whole_head_gflop')}" for contender in contenders
                    if contender in ("peft-sorted", "ours")) + " of the GEMM peak.", "",
        *_planned(rounds),
        "Tokens/s of every round:", "",
        "| round | " + " | ".join(contenders) + " | GEMM peak, GFLOP/s |", "|---|" + "---|" * (len(contenders) + 1),
        *(f"| {number} | " + " | ".join(f"{each[contender]['tokens_per_s']:.1f}" for contender in contenders)
          + f" | {each[YARDSTICK]['peak_gflops']:.0f} |" for number, each in enumerate(rounds, start=1)),
        "", *_losses(rounds[0], contenders),
    ]
    return "\n".join(lines)


def _row(contender: str, rounds: Sequence[Round]) -> str:
    peak, before = spread(rounds, contender, "peak_rss_mb"), spread(rounds, contender, "loaded_rss_mb")
    assert peak is not None and before is not None
    cells = [
        CONTENDERS[contender],
        _text(spread(rounds, contender, "tokens_per_s")),
        _text(spread(rounds, contender, "tokens_per_cpu_s")),
        "" if contender == "ours" else _text(ratios(rounds, contender, "tokens_per_s"), digits=2, unit="x"),
        "" if contender == "ours" else _text(ratios(rounds, contender, "tokens_per_cpu_s"), digits=2, unit="x"),
        f"{peak.text(0)}, {before.median:,.0f}",
        "" if contender == "ours" else _text(ratios(rounds, contender, "peak_rss_mb"), digits=2),
        _share(rounds, contender),
        _share(rounds, contender, peak="mix_gflops"),
    ]
    return "| " + " | ".join(cells) + " |"


def _losses(figures: Round, contenders: Sequence[str]) -> list[str]:
    """Some steps of every curve, and how far each lies from the plain loop in the same order."""
    steps = len(figures[contenders[0]]["loss_curve"])
    shown = sorted({round(place * (steps - 1) / (min(steps, _SHOWN_STEPS) - 1 or 1))
                    for place in range(min(steps, _SHOWN_STEPS))})
    lines = ["Loss at some steps of the first round, and how far all lie from the plain loop's in the same order:",
             "", "| step | order | " + " | ".join(str(step + 1) for step in shown)
             + " | largest difference | mean difference, signed |", "|---|---|" + "---|" * (len(shown) + 2)]
    for contender in contenders:
        curve, order = figures[contender]["loss_curve"], figures[contender]["order"]
        plain = figures.get(BASELINES[order], {}).get("loss_curve")
        far = ["", ""]
        if plain is not None and contender != BASELINES[order]:
            differences = [loss - other for loss, other in zip(curve, plain, strict=True)]
            far = [f"{max(map(abs, differences)):.1e}", f"{sum(differences) / len(differences):+.1e}"]
        cells = [contender, order, *(f"{curve[step]:.5f}" for step in shown), *far]
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def _growth(points: Sequence[Mapping[str, Any]]) -> str:
    lines = ["## How cost grows", "", f"{_where(points[0])}; uniform lengths with nothing to pad and no prefix, "
             "ours against the plain loop (peer).", ""]
    for grows in dict.fromkeys(point["grows"] for point in points):
        rows = [point for point in points if point["grows"] == grows]
        fixed = {"batch": "batch", "tokens": "length", "rank": "rank"}
        same = [f"{word} {rows[0][key]}" for key, word in fixed.items() if word != grows]
        lines += [f"By {grows} ({', '.join(same)}; rounds: {len(rows[0]['rounds'])}):", "",
                  f"| {grows} | ours, tokens/s | peer, tokens/s | ours is faster by | ours, peak MB | planned MB "
                  "| peer, peak MB | ours, share of GEMM peak | peer |", "|---|---|---|---|---|---|---|---|---|"]
        for point in rows:
            rounds = point["rounds"]
            cells = [
                point["value"], *(_text(spread(rounds, who, "tokens_per_s")) for who in ("ours", "peft-sorted")),
                _text(ratios(rounds, "peft-sorted", "tokens_per_s"), digits=2, unit="x"),
                _text(spread(rounds, "ours", "peak_rss_mb"), digits=0),
                _text(spread(rounds, "ours", "planned_mb"), digits=0),
                _text(spread(rounds, "peft-sorted", "peak_rss_mb"), digits=0),
                *(_share(rounds, who) for who in ("ours", "peft-sorted")),
            ]
            lines.append("| " + " | ".join(cells) + " |")
        failed = sorted({f"{grows} {point['value']}: {figures['failed']}" for point in rows
                         for each in point["rounds"] for figures in each.values() if "failed" in figures})
        lines += ["", *(f"- {sentence}" for sentence in failed), *([""] if failed else [])]
    return "\n".join(lines)


def _planned(rounds: Sequence[Round]) -> list[str]:
    planned, peak = spread(rounds, "ours", "planned_mb"), spread(rounds, "ours", "peak_rss_mb")
    if planned is None or peak is None:
        return []
    return [f"Ours had planned {planned.median:,.0f} MB and took {peak.median:,.0f} MB "
            f"({100 * (peak.median / planned.median - 1):+.0f} %).", ""]


def _yardstick(rounds: Sequence[Round]) -> str:
    peak, mix = spread(rounds, YARDSTICK, "peak_gflops"), spread(rounds, YARDSTICK, "mix_gflops")
    assert peak is not None and mix is not None
    work = rounds[0][YARDSTICK]["gflop_a_token"] * 1000
    return (f"A token takes {work:,.0f} MFLOP; the GEMM peak is {peak.text(0, ' GFLOP/s')}, over all shapes "
            f"{mix.text(0, ' GFLOP/s')}.")


def _share(rounds: Sequence[Round], contender: str, *, work: str = "work_gflop", peak: str = "peak_gflops") -> str:
    found = [100 * share_of_peak(each, contender, work=work, peak=peak) for each in rounds
             if "seconds" in each.get(contender, {})]
    return Spread.of(found).text(0, " %") if found else ""


def _text(found: Spread | None, *, digits: int = 1, unit: str = "") -> str:
    return "did not finish" if found is None else found.text(digits, unit)


def _where(part: Mapping[str, Any]) -> str:
    return f"{part['machine']}; " + ", ".join(f"{name} {number}" for name, number in part["versions"].items())
