"""How far a loss lies from float64, and to which side: PyTorch's cross entropy in float32, and ours.

    python -m benchmarks.loss_bias

Writes docs/results/loss_bias.md. Both are given the same float32 hidden states and the same head.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.about import about_machine
from benchmarks.cpu_step.examples import python_docs
from benchmarks.cpu_step.models import embedded_model

EXAMPLES = 40
PAGE = Path(__file__).resolve().parents[1] / "docs" / "results" / "loss_bias.md"
_TITLES = {"pytorch": "`torch.nn.functional.cross_entropy` on float32 logits",
           "logits": "float32 logits, cross entropy in float64", "ours": "ours (`ft_kernels.cpu.loss`)"}


def main() -> int:
    """Measure and write the page."""
    differences = measure(embedded_model(), EXAMPLES)
    page = page_of(differences, about_machine(("torch", "transformers")))
    PAGE.write_text(page, encoding="utf-8")
    print(page)
    return 0


def measure(folder: Path, examples: int) -> dict[str, list[float]]:
    """By way of computing, each example's mean loss less the one in float64."""
    import torch
    from torch.nn.functional import cross_entropy
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from ft_kernels.cpu.loss import linear_cross_entropy

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    weight_VD = model.get_output_embeddings().weight
    found: dict[str, list[float]] = {name: [] for name in _TITLES}
    with torch.no_grad():
        for row in python_docs()[:examples]:
            ids_1T = torch.tensor([tokenizer.apply_chat_template(row["messages"], return_dict=False)])
            hidden_ND = model.get_decoder()(input_ids=ids_1T).last_hidden_state[0, :-1]
            targets_N = ids_1T[0, 1:]
            logits_NV = hidden_ND @ weight_VD.t()
            true = cross_entropy(hidden_ND.double() @ weight_VD.double().t(), targets_N).item()
            found["pytorch"].append(cross_entropy(logits_NV, targets_N).item() - true)
            found["logits"].append(cross_entropy(logits_NV.double(), targets_N).item() - true)
            found["ours"].append(linear_cross_entropy(hidden_ND, weight_VD, targets_N).item() / len(targets_N) - true)
    return found


def page_of(differences: Mapping[str, Sequence[float]], about: Mapping[str, Any]) -> str:
    """The figures as a page."""
    lines = [
        "# A loss that lies off to one side", "", "Written by `python -m benchmarks.loss_bias`. "
        f"{about['machine']}; {', '.join(f'{name} {version}' for name, version in about['versions'].items())}.", "",
        f"Mean loss of each of {len(differences['ours'])} examples of `python-docs` by the embedded model (49,152 "
        "logits a token), less the same from float64 logits; the hidden states are the same.", "",
        "| | mean, signed | largest | above the true loss |", "|---|---|---|---|"]
    for name, values in differences.items():
        lines.append(f"| {_TITLES[name]} | {sum(values) / len(values):+.1e} | {max(map(abs, values)):.1e} "
                     f"| {sum(value > 0 for value in values)} of {len(values)} |")
    lines += ["", "The second row has the same logits as the first, so the first row's error is that of the float32 "
              "cross entropy itself. A loop that uses it says a loss a little below the true one at every step, and "
              "ours, beside it, lies a little above: that difference is the other's.", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
