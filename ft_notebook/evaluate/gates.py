"""A recipe's gates: conditions that a version must keep, read from their words and held against an evaluation.

    exact_match >= 0.8        exact_match > best prompt       difference >= 5 %       forgetting <= 0.02
    no slice below 0.6        no gap above 10 %               hard inputs >= 0.8      seconds <= 1

Reading them needs no evaluation, so that a slip of the pen is told before anything is trained. What can stand on the
left is in `gate_measures.py`.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ft_notebook.errors import UserError
from ft_notebook.evaluate.evaluation import Evaluation, Gate
from ft_notebook.evaluate.gate_measures import (
    LOSSES,
    GateFigure,
    built_in_measures,
    metric_measures,
    metric_of,
    names_of,
)
from ft_notebook.hooks import GateMeasure
from ft_notebook.recipe.names import did_you_mean, quoted

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
BASELINE = "best prompt"
KNOWN_CONTENDERS = ("base", "few-shot", "retrieved")
LONGEST = 200

_ASKED = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}
_FLAWED = {"=>": ">=", "=<": "<=", "≥": ">=", "≤": "<=", ">>": ">", "<<": "<", ">==": ">=", "<==": "<="}
_CONDITION = re.compile(r"(?P<name>[^<>=≥≤!~:]+?)\s*(?P<operator>[<>=≥≤!~:]+)\s*(?P<limit>.*)", re.DOTALL)
_WORST = re.compile(r"no\s+(?P<name>slice|gap)s?\s+(?P<word>\w+)\s+(?P<limit>.+)", re.DOTALL | re.IGNORECASE)
_WORSTS = {"slice": ("slices", "below", ">="), "gap": ("gap", "above", "<=")}
_NUMBER = re.compile(r"(?P<number>[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?)\s*(?P<unit>%|points?|percent|per cent)?",
                     re.IGNORECASE)


@dataclass(frozen=True)
class ParsedGate:
    """A condition: a measure, an operator, and a number or a contender."""

    text: str                       # as the recipe has it
    measure: GateMeasure
    operator: str
    limit: float | None             # None where `contender` is given
    contender: str | None = None    # `BASELINE` or a contender's name


def parse_gates(
    texts: Sequence[str], *, metrics: Iterable[str] | None = None, measures: Sequence[GateMeasure] = ()
) -> list[ParsedGate]:
    """Raises UserError, one sentence on the first condition that cannot be used.

    metrics: names of all there are; by default those that come with the package. measures: of plugins.
    """
    if texts and metrics is None:
        from ft_notebook.evaluate.builtin import metrics as built_in

        metrics = [metric.name for metric in built_in()]
    known = [*metric_measures(metrics or ()), *built_in_measures(), *measures]
    return [_parse(text, known) for text in texts]


def judge_gates(gates: Sequence[ParsedGate], evaluation: Evaluation) -> list[Gate]:
    """Each by its figure alone; where the interval reaches beyond the limit, `why` says so.

    A gate on something that was not measured fails.
    """
    return [_judge(gate, evaluation) for gate in gates]


def _parse(text: str, known: Sequence[GateMeasure]) -> ParsedGate:
    short = " ".join(text.split())
    if not short or len(short) > LONGEST:
        raise UserError("A gate is a condition such as `exact_match >= 0.8`, not "
                        f"{'nothing' if not short else quoted(short)}.")
    worst = _WORST.fullmatch(short)
    if worst is not None:
        name, word, sign = _WORSTS[worst["name"].lower()]
        if worst["word"].lower() != word:
            raise UserError(f"The gate {quoted(short)} reads another way round: write "
                            f"{quoted(f'no {worst[0].split()[1].lower()} {word} {worst[3]}')}.")
        return _gate(text, _measure(name, known, short), sign, worst["limit"], short)
    found = _CONDITION.fullmatch(short)
    if found is None:
        raise UserError(f"The gate {quoted(short)} has no comparison; write a condition such as `exact_match >= 0.8` "
                        "or `no slice below 0.6`.")
    measure = _measure(found["name"], known, short)
    if found["operator"] not in OPERATORS:
        meant = _FLAWED.get(found["operator"]) or (">=" if measure.is_higher_better else "<=")
        raise UserError(f"The gate {quoted(short)}: {quoted(found['operator'])} is no comparison; there are >=, >, <= "
                        f"and <. Did you mean `{meant}`?")
    return _gate(text, measure, found["operator"], found["limit"], short)


def _measure(name: str, known: Sequence[GateMeasure], gate: str) -> GateMeasure:
    plain = re.sub(r"[\s-]+", "_", name.strip().lower())
    by_name = {re.sub(r"-", "_", measure.name.lower()): measure for measure in known}
    aliases = {"slice": "slices", "hard_input": "hard_inputs", "hard": "hard_inputs", "hand_over": "handed_over",
               "memorized": "memorised", "forgotten": "forgetting"}
    measure = by_name.get(plain) or by_name.get(aliases.get(plain, ""))
    if measure is None:
        raise UserError(f"The gate {quoted(gate)}: {quoted(name.strip())} is nothing that an evaluation measures."
                        f"{did_you_mean(plain, names_of(known)) or f' There are {_listed(names_of(known))}.'}")
    return measure


def _gate(text: str, measure: GateMeasure, sign: str, limit: str, gate: str) -> ParsedGate:
    is_upward = sign in (">=", ">")
    if is_upward != measure.is_higher_better:
        better, turned = ("higher", sign.replace("<", ">")) if measure.is_higher_better else (
            "lower", sign.replace(">", "<"))
        raise UserError(f"The gate {quoted(gate)} would ask for the worse: {quoted(measure.name)} is better when it is "
                        f"{better}. Did you mean `{turned}`?")
    number = _NUMBER.fullmatch(limit.strip())
    if number is None:
        return ParsedGate(text, measure, sign, None, _contender(limit, measure, gate))
    value, unit = float(number["number"]), number["unit"]
    if not math.isfinite(value):
        raise UserError(f"The gate {quoted(gate)}: {quoted(limit.strip())} is beyond any number that is measured.")
    if unit and measure.is_share is False:
        raise UserError(f"The gate {quoted(gate)}: {quoted(measure.name)} is no share, so {quoted(limit.strip())} says "
                        f"nothing of it; write the number without {quoted(unit)}.")
    if not unit and measure.is_share and 1 < value <= 100:
        raise UserError(f"The gate {quoted(gate)}: {quoted(measure.name)} is a share from 0 to 1; write "
                        f"`{value / 100:g}` or `{value:g} %`.")
    return ParsedGate(text, measure, sign, value / 100 if unit else value)


def _contender(limit: str, measure: GateMeasure, gate: str) -> str:
    word = " ".join(limit.split())
    plain = word.lower().removeprefix("the ")
    if not word:
        raise UserError(f"The gate {quoted(gate)} has nothing to compare with; write a number such as 0.8 or 80 %.")
    is_number = word[0].isdigit() or word[0] in "+-."
    if is_number or not _is_metric(measure):
        raise UserError(f"The gate {quoted(gate)}: {quoted(word)} is no number; write one such as 0.8 or 80 %.")
    if plain in (BASELINE, "baseline", "best prompts", "prompt", "prompts"):
        return BASELINE
    name = re.sub(r"[\s_]+", "-", plain)
    if name in ("base-model", "model"):
        return "base"
    if name not in KNOWN_CONTENDERS and not any(char.isdigit() for char in name):    # the id of a run has digits
        known = [BASELINE, *KNOWN_CONTENDERS]
        raise UserError(f"The gate {quoted(gate)}: {quoted(word)} is neither a number nor a contender; there are "
                        f"{_listed(known)}.{did_you_mean(plain, known)}")
    return name if name in KNOWN_CONTENDERS else word


def _is_metric(measure: GateMeasure) -> bool:
    return measure.name in LOSSES or measure.name not in names_of(built_in_measures())


def _judge(gate: ParsedGate, evaluation: Evaluation) -> Gate:
    figure = gate.measure.measure(evaluation)
    if figure is None or not math.isfinite(figure.value):
        return Gate(text=gate.text, passed=False, value=None,
                    why=f"{gate.measure.title.rstrip(',')} was not measured, so that the gate cannot pass.")
    limit, rival = gate.limit, ""
    if gate.contender is not None:
        name = evaluation.baseline if gate.contender == BASELINE else gate.contender
        other = next((one for one in evaluation.contenders if one.name == name), None)
        measured = metric_of(other, gate.measure.name)
        if other is None or measured is None:
            return Gate(text=gate.text, passed=False, value=figure.value, why=(
                f"{quoted(name or BASELINE)} has no {gate.measure.name} in this evaluation, so that the gate cannot "
                "pass."))
        limit, rival = measured.value, f" of {quoted(other.title)}"
    assert limit is not None    # a gate has a number or a contender
    passed = OPERATORS[gate.operator](figure.value, limit)
    return Gate(text=gate.text, passed=passed, value=figure.value, why=_why(gate, figure, limit, rival, passed))


def _why(gate: ParsedGate, figure: GateFigure, limit: float, rival: str, passed: bool) -> str:
    is_share = bool(gate.measure.is_share if figure.is_share is None else figure.is_share)
    bounds = [] if figure.low is None or figure.high is None else [figure.low, figure.high]
    said, wanted, *interval = _amounts([figure.value, limit, *bounds], is_share=is_share)
    framed = f" (95 % interval {interval[0]} to {interval[1]})" if interval else ""
    of = f" ({figure.of})" if figure.of else ""
    sentence = (f"{gate.measure.title}{of} is {said}{framed}, {'and' if passed else 'where'} "
                f"{_ASKED[gate.operator]} {'the ' if rival else ''}{wanted}{rival} "
                f"{'was' if passed else 'is'} wanted")
    is_met = OPERATORS[gate.operator]
    if passed and bounds and not all(is_met(bound, limit) for bound in bounds):
        return f"{sentence}; the interval reaches beyond that, so it may be luck."
    if not passed and any(is_met(bound, limit) for bound in bounds):
        return f"{sentence}; the interval reaches there, so it may be bad luck."
    if not passed and is_share and limit > 1 and gate.limit is not None:
        return f"{sentence}; write a share as 0.8 or 80 %."
    return f"{sentence}."


def _amounts(values: Sequence[float], *, is_share: bool) -> list[str]:
    """With as many decimals as tell the first value from the limit."""
    scaled = [value * 100 if is_share else value for value in values]
    for decimals in range(0 if is_share else 2, 7):
        texts = [f"{value:.{decimals}f}" for value in scaled]
        if float(texts[0]) != float(texts[1]) or math.isclose(scaled[0], scaled[1], rel_tol=1e-12, abs_tol=1e-12):
            break
    plain = [text.removeprefix("-") if float(text) == 0 else text for text in texts]
    if not is_share and all("." in text for text in plain):
        plain = [text.rstrip("0").rstrip(".") for text in plain]
    return [f"{text} %" for text in plain] if is_share else plain


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + f" and {names[-1]}"
