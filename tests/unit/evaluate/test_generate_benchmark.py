"""The page of the benchmark of answers says what was measured."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from benchmarks.generation.page import CONTENDERS, different, write_page  # noqa: E402


def figures(seconds: float, made: list[list[int]]) -> dict[str, Any]:
    return {"answers": len(made), "tokens": 9, "prompt_tokens": 1234, "max_new_tokens": 20, "seconds": seconds,
            "cpu_seconds": 2 * seconds, "answers_per_s": len(made) / seconds, "tokens_per_s": 9 / seconds,
            "loaded_rss_mb": 900.0, "peak_rss_mb": 1000.0, "made": made}


def test_ratios_are_of_each_round_and_other_answers_are_counted(tmp_path: Path) -> None:
    right, wrong = [[1, 2], [3]], [[1, 2], [4]]
    rounds = [{"one-row-nf4": figures(slow, right), "one-row-dense": figures(9.0, right), "batched": figures(6.0, wrong),
               "ours": figures(fast, right)} for slow, fast in ((30.0, 3.0), (20.0, 4.0), (28.0, 4.0))]
    assert different(rounds[0], "batched", "one-row-nf4") == 1 and different(rounds[0], "ours", "one-row-nf4") == 0
    about = {"machine": "a machine", "threads": 2, "versions": {"torch": "2"}}
    write_page(tmp_path / "page.md", {"tickets": {**about, "rounds": rounds}})
    page = (tmp_path / "page.md").read_text(encoding="utf-8")
    rows = {name: next(line for line in page.splitlines() if line.startswith(f"| {title} |"))
            for name, title in CONTENDERS.items()}
    assert "7.00x (5.00–10.00)" in rows["one-row-nf4"] and rows["one-row-nf4"].endswith("| 0 |")
    assert rows["batched"].endswith("| 1 |") and "x" not in rows["ours"]
    assert "| 2 | 20.0 | 9.0 | 6.0 | 4.0 |" in page and "python -m benchmarks.generation" in page
