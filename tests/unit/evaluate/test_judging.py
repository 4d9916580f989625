"""What a verdict says of the cases that a person should look at."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from sample_evaluation import sample

from ft_notebook.evaluate.evaluation import Evaluation
from ft_notebook.evaluate.judging import judge


def verdict_where(handed_over: float):
    found = sample(forgetting=None, gates=[], gaps=[], slices=[], fit=None, hard=[])
    calibration = found.calibration.model_copy(update={"handed_over": handed_over, "threshold": 0.93, "wanted": 0.9})
    return judge(Evaluation(**{**vars(found), "calibration": calibration}))


@pytest.mark.parametrize("share", [0.08, 0.49])
def test_few_cases_are_handed_over_by_name_and_speak_for_the_model(share):
    verdict = verdict_where(share)
    assert verdict.kind == "ship"
    assert verdict.sentence.endswith(f"; hand over the {100 * share:.0f} % of cases below 0.93 confidence.")
    assert [each.is_good for each in verdict.reasons if each.kind == "hand_over"] == [True]


@pytest.mark.parametrize(("share", "kept"), [(0.5, 50), (0.79, 21)])
def test_from_half_on_what_may_be_kept_is_named_and_qualifies_the_verdict(share, kept):
    verdict = verdict_where(share)
    assert verdict.kind == "ship"
    assert verdict.sentence.endswith(
        f"; but only the {kept} % of cases at 0.93 confidence or more reach the wanted 90 %.")
    assert [each.is_good for each in verdict.reasons if each.kind == "hand_over"] == [False]
    assert "hand over" not in verdict.sentence
