"""Accuracy as it would be if all labels were equally frequent, so that always giving the commonest one earns little.

The mean over the labels of each label's recall: scikit-learn's `balanced_accuracy_score`.
Source: Brodersen et al., "The Balanced Accuracy and Its Posterior Distribution" (2010), doi 10.1109/ICPR.2010.764.
"""

from __future__ import annotations

from ft_notebook.evaluate.metrics.recall import Recall


class BalancedAccuracy(Recall):
    name = "balanced_accuracy"
