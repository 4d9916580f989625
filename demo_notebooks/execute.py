"""Executes demo notebooks and leaves them, their HTML pages and a summary in build/demo/.

    python demo_notebooks/execute.py 01_first_run [more ...]
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbconvert import HTMLExporter

import ft_notebook

HERE = Path(__file__).parent
BUILD = HERE.parent / "build" / "demo"
CELL_TIMEOUT_S = 1800


def main(names: list[str]) -> int:
    """Execute each notebook; the runs that they leave are summed up."""
    BUILD.mkdir(parents=True, exist_ok=True)
    for name in names:
        started = time.time()
        notebook = execute(HERE / f"{name}.ipynb", BUILD / f"{name}.ipynb")
        page, _ = HTMLExporter().from_notebook_node(notebook)
        (BUILD / f"{name}.html").write_text(page, encoding="utf-8")
        run = notebook.metadata.get("ft_notebook", {}).get("run")
        if run:
            summary = summarise(str(run), seconds=time.time() - started)
            (BUILD / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
            show(summary)
        else:
            print(f"{name}: {time.time() - started:.0f} s. See {BUILD.relative_to(HERE.parent)}/")
    return 0


def execute(source: Path, target: Path) -> Any:
    """Run all cells in a fresh kernel, in the build folder; raises at the first cell that fails."""
    notebook = nbformat.read(source, as_version=4)
    client = NotebookClient(notebook, timeout=CELL_TIMEOUT_S, kernel_name="python3",
                            resources={"metadata": {"path": str(target.parent)}})
    try:
        client.execute()
    finally:
        nbformat.write(notebook, target)
    return notebook


def summarise(name: str, *, seconds: float) -> dict[str, Any]:
    """The figures of a finished run."""
    run = ft_notebook.load_run(name)
    report = run.report
    assert report is not None, f"run {name} left no report"
    main_metric = next(metric for metric in report.metrics if metric.name == "exact_match")
    return {
        "run": run.id, "model": report.model, "metric": main_metric.name,
        "base": main_metric.base, "tuned": main_metric.tuned,
        "interval": [main_metric.low, main_metric.high], "examples": main_metric.examples,
        "seconds": round(seconds, 1), "training_seconds": round(report.seconds, 1),
        "tokens_per_s": round(report.tokens_per_s, 1),
        "peak_mb": round(max(run.history["peak_memory_bytes"]) / 1e6),
        "notebook_peak_mb": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3),
        "metrics": {metric.name: {"base": metric.base, "tuned": metric.tuned, "low": metric.low, "high": metric.high}
                    for metric in [*report.metrics, report.loss, report.perplexity] if metric is not None},
        "verdict": report.verdict,
        "evaluation": run.evaluation.verdict if run.evaluation else "",
    }


def show(summary: dict[str, Any]) -> None:
    """The before/after table, in plain text."""
    print(f"\n{'':18}{'base':>10}{'tuned':>10}   difference, 95 % interval")
    for name, figures in summary["metrics"].items():
        is_share = name not in {"loss", "perplexity"}
        scale, unit = (100, " %") if is_share else (1, "  ")
        low, high = (f"{figures[end] * scale:.1f}" if figures[end] is not None else "?" for end in ("low", "high"))
        change = (figures["tuned"] - figures["base"]) * scale
        print(f"{name:18}{figures['base'] * scale:>8.1f}{unit}{figures['tuned'] * scale:>8.1f}{unit}"
              f"   {change:+.1f} ({low} to {high})")
    print(f"\n{summary['verdict']}")
    if summary["evaluation"]:
        print(summary["evaluation"])
    print(f"{summary['seconds']:.0f} s in all, {summary['tokens_per_s']:.0f} tokens/s, "
          f"peak {summary['peak_mb']:,} MB in the worker. See {BUILD.relative_to(HERE.parent)}/")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
