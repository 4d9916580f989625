"""The figures of the benchmark as a page. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.cpu_step.rounds import Round, ratios, spread

CONTENDERS = {
    "one-row-nf4": "`generate`, one row at a time, NF4 weights",
    "one-row-dense": "`generate`, one row at a time, weights dequantized once",
    "batched": "`generate`, padded batches of 16 of like length, weights dequantized once",
    "ours": "ours",
}

_INTRODUCTION = """\
# Answers on a CPU

Written by `python -m benchmarks.generation`. Every figure comes from a process of its own; the contenders of a round
run one after the other, and each round starts with another one. Figures are medians over the rounds with the least and
the most in brackets; ratios are taken within a round first. All contenders answer the same prompts greedily, with the
same model in NF4 and the same adapter (rank 16 on every linear layer but the head, trained on 96 other examples of both
samples), up to the end of turn or the same number of new tokens. Ours has to give exactly the tokens of the loop that
answers one row at a time; the last column counts the answers that differ from that loop's, at most in one round.

Loading the model is not timed; dequantizing its weights is. Peak memory is the largest resident size of the process,
loading included; "before" is what it had been when the first answer began.
"""


def write_page(path: Path, kept: Mapping[str, Mapping[str, Any]]) -> None:
    """Write what was kept, a table for each setting."""
    path.write_text("\n".join([_INTRODUCTION, *(_setting(name, part) for name, part in kept.items())]),
                    encoding="utf-8")


def different(figures: Round, contender: str, truth: str) -> int:
    """How many answers of a contender have other tokens than another's."""
    return sum(one != other for one, other in zip(figures[contender]["made"], figures[truth]["made"], strict=True))


def _setting(name: str, part: Mapping[str, Any]) -> str:
    rounds: list[Round] = part["rounds"]
    contenders = [contender for contender in CONTENDERS if contender in rounds[0]]
    first = rounds[0][contenders[0]]
    return "\n".join([
        f"## {name}", "",
        f"{first['answers']} prompts with {first['prompt_tokens']:,} tokens, answers with {first['tokens']:,} tokens, "
        f"at most {first['max_new_tokens']} each. {part['machine']}; threads: {part['threads']}; "
        f"{', '.join(f'{package} {number}' for package, number in part['versions'].items())}; "
        f"{len(rounds)} {'round' if len(rounds) == 1 else 'rounds'}.", "",
        "| | seconds | answers/s | new tokens/s | ours is faster by | by CPU time | peak MB (before) | other answers |",
        "|---|---|---|---|---|---|---|---|",
        *(_row(contender, contenders, rounds) for contender in contenders), "",
        "Seconds of every round:", "",
        "| round | " + " | ".join(contenders) + " |", "|---|" + "---|" * len(contenders),
        *(f"| {number} | " + " | ".join(f"{each[contender]['seconds']:.1f}" for contender in contenders) + " |"
          for number, each in enumerate(rounds, start=1)), "",
    ])


def _row(contender: str, contenders: Sequence[str], rounds: Sequence[Round]) -> str:
    def text(key: str, digits: int) -> str:
        found = spread(rounds, contender, key)
        return found.text(digits) if found else ""

    def ratio(key: str) -> str:
        found = None if contender == "ours" else ratios(rounds, "ours", key, over=contender)
        return found.text(2, unit="x") if found else ""

    truth = next((each for each in ("one-row-nf4", "one-row-dense") if each in contenders), contenders[0])
    before = spread(rounds, contender, "loaded_rss_mb")
    return "| " + " | ".join([
        CONTENDERS[contender], text("seconds", 1), text("answers_per_s", 2), text("tokens_per_s", 1),
        ratio("seconds"), ratio("cpu_seconds"), f"{text('peak_rss_mb', 0)}, {before.median if before else 0:,.0f}",
        str(max(different(each, contender, truth) for each in rounds)),
    ]) + " |"
