"""The metrics that come with ft_notebook, registered through the hook that plugins use."""

from __future__ import annotations

from collections.abc import Sequence

from ft_notebook.evaluate.metrics.accuracy import Accuracy
from ft_notebook.evaluate.metrics.balanced_accuracy import BalancedAccuracy
from ft_notebook.evaluate.metrics.bleu import Bleu
from ft_notebook.evaluate.metrics.chrf import Chrf
from ft_notebook.evaluate.metrics.exact_match import ExactMatch
from ft_notebook.evaluate.metrics.json_fields import JsonFields
from ft_notebook.evaluate.metrics.json_valid import JsonValid
from ft_notebook.evaluate.metrics.macro_f1 import MacroF1
from ft_notebook.evaluate.metrics.numeric_match import NumericMatch
from ft_notebook.evaluate.metrics.precision import Precision
from ft_notebook.evaluate.metrics.recall import Recall
from ft_notebook.evaluate.metrics.rouge_l import RougeL
from ft_notebook.evaluate.metrics.token_f1 import TokenF1
from ft_notebook.hooks import Metric, hookimpl


@hookimpl
def metrics() -> Sequence[Metric]:
    """In the order of a report."""
    return [
        ExactMatch(), JsonFields(), JsonValid(), RougeL(), TokenF1(), Chrf(), Bleu(), NumericMatch(),
        Accuracy(), BalancedAccuracy(), Precision(), Recall(), MacroF1(),
    ]
