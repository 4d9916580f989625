"""Progress of a check in stages."""

from __future__ import annotations

from ft_notebook.data.checks.stages import stage


def test_stages_are_parts_of_the_whole_and_may_be_nested():
    told: list[tuple[int, int]] = []
    second = stage(lambda done, total: told.append((done, total)), 1, 2)
    second(0, 10)
    stage(second, 1, 2)(5, 10)
    second(10, 10)
    stage(second, 0, 1)(0, 0)
    assert told == [(500, 1000), (875, 1000), (1000, 1000), (500, 1000)]
