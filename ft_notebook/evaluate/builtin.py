"""The metrics that come with ft_notebook, registered through the hook that plugins use."""

from __future__ import annotations

from collections.abc import Sequence

from ft_notebook.evaluate.metrics.accuracy import Accuracy
from ft_notebook.evaluate.metrics.exact_match import ExactMatch
from ft_notebook.evaluate.metrics.macro_f1 import MacroF1
from ft_notebook.evaluate.metrics.rouge_l import RougeL
from ft_notebook.hooks import Metric, hookimpl


@hookimpl
def metrics() -> Sequence[Metric]:
    return [ExactMatch(), RougeL(), Accuracy(), MacroF1()]
