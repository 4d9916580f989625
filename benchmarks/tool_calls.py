"""Fine-tunes on real tool calls and writes what changed to docs/results/tool_calls.md.

    python benchmarks/tool_calls.py            (or `make results`)

Data: `BFCL_v4_simple_python.json` of the package bfcl-eval (Apache-2.0): 400 questions, each with one function and the
arguments that are right for it. The prompt is the function's description and the question, the completion the call as
JSON. Two figures for the held-out fifth: the exact text, and the call judged as that benchmark does, where
any accepted value of every argument counts and optional ones may be left out.
"""

from __future__ import annotations

import importlib.util
import json
import platform
import sys
from pathlib import Path
from typing import Any

import ft_notebook

ROOT = Path(__file__).resolve().parent.parent
FILE = "BFCL_v4_simple_python.json"
RECIPE = """\
data: {source: %s, system: "Answer with the call as JSON.", max_tokens: 512}
train: {epochs: 1, learning_rate: 1e-3}
evaluate: {limit: 80, samples: 1, max_new_tokens: 128}
"""


def main() -> int:
    """Convert, fine-tune, judge, write."""
    folder = data_folder()
    questions = read(folder / FILE)
    accepted = {row["id"]: row["ground_truth"][0] for row in read(folder / "possible_answer" / FILE)}
    rows = [example(row, accepted[row["id"]]) for row in questions]
    data = ROOT / "build" / "tool_calls" / "simple_python.jsonl"
    data.parent.mkdir(parents=True, exist_ok=True)
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    recipe = RECIPE % json.dumps(str(data))
    run = ft_notebook.finetune(recipe, name="tool_calls", wait=True)
    if run.status != "finished":
        print(run.error, file=sys.stderr)
        return 1
    report = run.report
    assert report is not None
    by_row = {number: accepted[row["id"]] for number, row in enumerate(questions, start=1)}
    judged = {
        "base": [is_right(e.base_answer or "", by_row[e.row]) for e in report.examples],
        "tuned": [is_right(e.tuned_answer or "", by_row[e.row]) for e in report.examples],
    }
    write(run, recipe.replace(str(data), "simple_python.jsonl"), judged)
    return 0


def data_folder() -> Path:
    """The data of the installed package, which is not imported."""
    spec = importlib.util.find_spec("bfcl_eval")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("bfcl-eval is not installed: pip install --no-deps bfcl-eval")
    return Path(spec.submodule_search_locations[0]) / "data"


def read(path: Path) -> list[dict[str, Any]]:
    """A file of one JSON object a line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def example(row: dict[str, Any], truth: dict[str, dict[str, list[Any]]]) -> dict[str, str]:
    """Prompt and completion of a question; the first accepted value of each argument that must be given."""
    (name, arguments), = truth.items()
    given = {key: values[0] for key, values in arguments.items() if values[0] != ""}
    question = row["question"][0][-1]["content"]
    return {
        "prompt": f"{json.dumps(row['function'][0])}\n{question}",
        "completion": json.dumps({"name": name, "arguments": given}),
    }


def is_right(answer: str, truth: dict[str, dict[str, list[Any]]]) -> bool:
    """Whether a call names the function, gives accepted values only, and leaves out nothing that is required."""
    try:
        call = json.loads(answer)
        name, given = call["name"], call["arguments"]
    except (ValueError, KeyError, TypeError):
        return False
    if name not in truth or not isinstance(given, dict):
        return False
    accepted = truth[name]
    if any(key not in accepted for key in given):
        return False
    return all(
        any(same(given[key], value) for value in values) if key in given else "" in values
        for key, values in accepted.items()
    )


def same(given: Any, accepted: Any) -> bool:
    """Equal, with case and blanks of texts folded and nested objects judged by their accepted values."""
    if isinstance(given, str) and isinstance(accepted, str):
        return given.strip().casefold() == accepted.strip().casefold()
    if isinstance(given, dict) and isinstance(accepted, dict):
        return given.keys() == accepted.keys() and all(
            any(same(given[key], value) for value in values) if isinstance(values, list) else same(given[key], values)
            for key, values in accepted.items()
        )
    return bool(given == accepted)


def write(run: Any, recipe: str, judged: dict[str, list[bool]]) -> None:
    """The figures as a page."""
    report = run.report
    share = {who: sum(marks) / len(marks) for who, marks in judged.items()}
    examples = [*report.improved[:2], *report.worsened[:2]]
    lines = [
        "# Real tool calls: before and after",
        "",
        "Made by `python benchmarks/tool_calls.py`. Data: `BFCL_v4_simple_python.json` of bfcl-eval 2026.3.23 "
        "(Apache-2.0), 400 rows; the recipe:",
        "",
        "```yaml", recipe.strip(), "```",
        "",
        f"{report.model}, {len(run.history)} steps, {report.answered_examples} held-out examples; "
        f"{platform.machine()}, no GPU. Speed was not measured here.",
        "",
        "| | base, zero-shot | tuned | difference, 95 % interval |",
        "|---|---|---|---|",
    ]
    for metric in [*report.metrics, report.loss, report.perplexity]:
        low, high = (f"{end:.3f}" if end is not None else "?" for end in (metric.low, metric.high))
        lines.append(f"| {metric.name} | {metric.base:.3f} | {metric.tuned:.3f} | "
                     f"{metric.difference:+.3f} ({low} to {high}) |")
    lines += [
        f"| call judged by accepted values | {share['base']:.3f} | {share['tuned']:.3f} | "
        f"{share['tuned'] - share['base']:+.3f} |",
        "", report.verdict, "", *report.notes, "",
        "Examples that changed most:", "",
    ]
    for one in examples:
        lines += [f"- expected `{one.reference}`", f"  base: `{' '.join((one.base_answer or '').split())[:160]}`",
                  f"  tuned: `{' '.join((one.tuned_answer or '').split())[:160]}`"]
    (ROOT / "docs" / "results" / "tool_calls.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
