"""On clean data at most one row in a hundred has a finding that blocks or does harm."""

import random

import pytest
from subjects import found, rows_in, sample, subject_of

from ft_notebook.data.checks.encoding import Encoding
from ft_notebook.data.checks.expected import ExpectedFormat
from ft_notebook.data.checks.hidden import HiddenCharacters
from ft_notebook.data.checks.injection import PromptInjection
from ft_notebook.data.checks.languages import Languages
from ft_notebook.data.checks.outputs import Outputs
from ft_notebook.data.checks.personal import PersonalData
from ft_notebook.data.checks.secrets import Secrets
from ft_notebook.data.checks.turns import Turns

CHECKS = [PersonalData(), Secrets(), Encoding(), HiddenCharacters(), PromptInjection(), Turns(), Outputs(), ExpectedFormat(), Languages()]
LOT = random.Random(11)


def prose(number):
    people, things = ["Anna", "François", "Zoë", "Jürgen", "Marta"], ["report", "ladder", "menu", "café", "naïve plan"]
    return {"prompt": f"Write to {LOT.choice(people)} about the {LOT.choice(things)} of {LOT.randint(1, 28)}.{LOT.randint(1, 12)}.20{LOT.randint(10, 30)}.",
            "completion": f"Dear {LOT.choice(people)}, the {LOT.choice(things)} for order {LOT.randint(10**9, 10**10)} costs "
                          f"{LOT.randint(1, 9)},{LOT.randint(100, 999)}.{LOT.randint(10, 99)} euros – “as agreed”. Please ignore the old price of page {number}."}


def code(number):
    low, high = LOT.randint(0, 10**6), LOT.randint(10**6, 10**12)
    return {"prompt": f"Explain this code:\n```python\ndef f_{number}(x, y=({low}, {high})):\n    return x @ y[{number % 3}] + {LOT.random()}\n```",
            "completion": f"It multiplies `x` by item {number % 3} of `y`, which are {low} and {high}, and adds a constant to the result of version 2.{number}.1."}


def numbers(number):
    rows = "\n".join(" ".join(str(LOT.randint(1000, 9999)) for _ in range(4)) for _ in range(6))
    ids = ", ".join(str(LOT.randint(10**14, 10**16)) for _ in range(3))
    return {"prompt": f"Sum the columns:\n{rows}\nids: {ids}; range {LOT.randint(200, 999)}-{LOT.randint(2000, 9999)}",
            "completion": ", ".join(str(LOT.randint(10_000, 90_000)) for _ in range(4))}


def logs(number):
    digest = "".join(LOT.choice("0123456789abcdef") for _ in range(40))
    return {"prompt": f"2024-0{LOT.randint(1, 9)}-1{LOT.randint(0, 9)}T1{LOT.randint(0, 9)}:{LOT.randint(10, 59)}:0{LOT.randint(0, 9)}.{LOT.randint(100000, 999999)}Z "
                      f"pid={LOT.randint(1000, 99999)} host=10.0.{LOT.randint(0, 255)}.{LOT.randint(0, 255)} build {digest} took {LOT.random()} s",
            "completion": f"The build {digest[:8]} of version 1{number}.0.{LOT.randint(1000, 9999)}.{LOT.randint(1, 99)} was slow."}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
@pytest.mark.parametrize("row", [prose, code, numbers, logs], ids=lambda row: row.__name__)
def test_written_rows_without_a_fault_have_none(check, row):
    rows = [row(number) for number in range(300)]
    alarmed = rows_in(each for each in found(check, subject_of(rows)) if each.severity != "notice")
    assert len(alarmed) <= 3, [rows[number - 1] for number in sorted(alarmed)[:3]]


@pytest.mark.parametrize("check", [check for check in CHECKS if check.name != "languages"], ids=lambda check: check.name)
def test_the_documentation_of_python_has_no_fault(check):
    subject = sample("python-docs")
    alarmed = rows_in(each for each in found(check, subject) if each.severity != "notice")
    assert len(alarmed) <= 0.01 * len(subject.records), [subject.records[row - 1].texts for row in sorted(alarmed)[:5]]
