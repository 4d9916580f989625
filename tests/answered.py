"""A small evaluation whose contenders answered, for tests of what people do with it."""

from __future__ import annotations

from collections.abc import Sequence

from ft_notebook.evaluate.evaluation import Answer, Contender, EvaluatedRow, Evaluation, Verdict

TITLES = {"base": "base, zero-shot", "few-shot": "base, 5 examples", "tuned": "tuned: triage"}


def answered(answers: Sequence[tuple[str, str, str]], *, run_id: str = "triage-20260101-000000-ab12") -> Evaluation:
    """answers: of each row the prompt, the tuned model's answer and that of the few-shot prompt."""
    rows = [EvaluatedRow(id=f"r{at}", row=at, prompt=prompt, reference="?", answers={
        name: Answer(text=text, score=None, confidence=None)
        for name, text in {"base": "?", "few-shot": other, "tuned": tuned}.items()})
        for at, (prompt, tuned, other) in enumerate(answers, start=1)]
    contenders = [Contender(name=name, title=title, kind="tuned" if name == "tuned" else "base", figures=[],
                            prompt_tokens=1, answer_tokens=1, seconds=None, cost=None, confusion=None)
                  for name, title in TITLES.items()]
    return Evaluation(run_id=run_id, name="triage", model="m", created=0, source="rows", main_metric="exact_match",
                      baseline="few-shot", contenders=contenders, differences=[], rows=rows,
                      verdict=Verdict(kind="undecided", sentence="?", reasons=[]))


def ten() -> Evaluation:
    """Twelve rows, on two of which both answer alike."""
    return answered([*((f"question {at}", f"tuned says {at}", f"other says {at}") for at in range(1, 11)),
                     ("same", "yes", " yes\n"), ("same too", "no", "no")])
