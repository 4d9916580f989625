"""The bed of small real models: a verdict comes out as it must. `python -m benchmarks.verdicts` has all of them."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.verdicts.__main__ import Found, page_of, run_setting  # noqa: E402
from benchmarks.verdicts.settings import SETTINGS  # noqa: E402
from benchmarks.verdicts.world import LABELS, keys, make_world, request  # noqa: E402


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base model that has learned little: enough to sort memos."""
    return make_world(tmp_path_factory.mktemp("bed") / "world", steps=250)


@pytest.mark.parametrize("name", ["tuning helps", "shuffled labels", "97 % one class"])
def test_a_setting_comes_to_the_verdict_that_it_must(name: str, world: Path, tmp_path: Path) -> None:
    setting = next(each for each in SETTINGS if each.name == name)
    found = Found(setting, 1, run_setting(setting, 1, world, tmp_path))
    assert found.is_right, found.evaluation.verdict
    assert "**1 of 1 as expected.**" in page_of([found]) and found.evaluation.verdict.sentence in page_of([found])


def test_settings_are_what_they_are_called(tmp_path: Path) -> None:
    assert len(SETTINGS) >= 8 and len({each.name for each in SETTINGS}) == len(SETTINGS)
    by_name = {each.name: each for each in SETTINGS}
    for each in SETTINGS:
        folder = tmp_path / each.name.replace(" ", "-")
        folder.mkdir()
        train, heldout = (set(path.read_text().splitlines()) for path in each.write(folder, 1))
        assert len(train) == 240 and len(heldout) == each.heldout_rows and not train & heldout
        again = each.write(folder, 1)[0].read_text()
        assert each.write(folder, 2)[0].read_text() != again
    few = by_name["97 % one class"].cases(1000, random.Random(1))
    assert 0.95 < sum(case.label == LABELS[0] for case in few) / 1000 < 0.99
    case = request("memo", random.Random(3), label="account", known=True)
    assert set(case.text.split()) & set(keys("memo", "account"))
