"""Writes one line an evaluation to `evaluations.csv` in the run's folder."""

from __future__ import annotations

from pathlib import Path

from ft_notebook.events import EvaluationEvent, Event
from ft_notebook.store.durable import AppendLog

HEADER = "step,loss,perplexity,is_best"


class EvaluationCsv:
    name = "evaluation_csv"

    def __init__(self) -> None:
        self._log: AppendLog | None = None

    def open(self, run_folder: Path) -> None:
        self._log = AppendLog(run_folder / "evaluations.csv")
        if self._log.lines == 0:
            self._log.append(HEADER, durable=True)

    def emit(self, event: Event) -> None:
        if isinstance(event, EvaluationEvent) and self._log is not None:
            line = f"{event.step},{event.loss!r},{event.perplexity!r},{str(event.is_best).lower()}"
            self._log.append(line, durable=True)

    def close(self) -> None:
        if self._log is not None:
            self._log.close()
