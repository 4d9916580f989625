"""What a tuned model lost of what its base model knew: general questions asked of both.

A question comes with its right answer and wrong ones of the same form; a model chooses the one that it finds likeliest
as its answer. No text is generated, so a model that was tuned to answer in some other form is not marked down for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ft_notebook.data.examples import Message
from ft_notebook.errors import DataError, UserError
from ft_notebook.evaluate.evaluation import Drift, FallenQuestion, FieldFigure, Forgetting
from ft_notebook.evaluate.generation.speaking import Conversation, Speaker
from ft_notebook.evaluate.probes.probe_lines import ProbeLine, packaged_lines, read_lines
from ft_notebook.evaluate.stats.contenders import MIN_EXAMPLES
from ft_notebook.evaluate.stats.mean_intervals import paired_share_interval
from ft_notebook.evaluate.stats.significance import LEVEL, holm, mcnemar_exact
from ft_notebook.recipe.names import quoted

QUESTIONS_AT_ONCE = 40
SHOTS = (
    ("Which city is the capital of Austria?", "Vienna"), ("What is 4 plus 4?", "8"), ("What do cows eat?", "Grass"))
"""Asked and answered before each question, so that a model knows a short answer to be wanted: the embedded model has
67 % of the project's questions right with them, 54 % without."""
MOST_FALLEN = 12
KEYS = ("field", "question", "right", "wrong")

Progress = Callable[[int, int], None]
"""Called with the number of questions done and their total."""


@dataclass(frozen=True)
class Question:
    """Multiple choice, of which the model does not see the choices."""

    field: str
    question: str
    right: str
    wrong: tuple[str, ...]


@dataclass(frozen=True)
class GeneralAnswer:
    """What a model finds likeliest."""

    field: str
    question: str
    right: str
    chosen: str

    @property
    def is_right(self) -> bool:
        return self.chosen == self.right


@dataclass(frozen=True)
class _Tally:
    """Questions of a field that only the tuned model, only the base model, and both have right."""

    gained: int
    lost: int
    both: int
    questions: int

    @property
    def p_value(self) -> float:
        return mcnemar_exact(self.gained, self.lost)


def general_questions() -> list[Question]:
    """The project's own: 240, of 12 fields."""
    return _questions(packaged_lines("general.jsonl", needed=KEYS))


def read_questions(path: Path | str) -> list[Question]:
    """A user's own: JSON lines with `field`, `question`, `right` and `wrong`, a list. Raises UserError or DataError."""
    return _questions(read_lines(Path(path), needed=KEYS))


def ask_general(
    speaker: Speaker, questions: Sequence[Question] | None = None, *,
    give_way: Callable[[], None] | None = None, on_progress: Progress | None = None,
) -> list[GeneralAnswer]:
    """In the questions' order; by default the project's own.

    give_way: called again and again; what it raises ends the asking.
    """
    asked = general_questions() if questions is None else questions
    answers: list[GeneralAnswer] = []
    for start in range(0, len(asked), QUESTIONS_AT_ONCE):
        if give_way:
            give_way()
        answers += _ask(speaker, asked[start:start + QUESTIONS_AT_ONCE])
        if on_progress:
            on_progress(len(answers), len(asked))
    return answers


def forgetting(
    base: Sequence[GeneralAnswer], tuned: Sequence[GeneralAnswer], drift: Drift | None, *,
    tasks: Sequence[FieldFigure] = (), most_fallen: int = MOST_FALLEN,
) -> Forgetting:
    """base, tuned: answers to the same questions in the same order. tasks: figures of other suites, passed on.

    A field is decided by McNemar's exact test, corrected over the fields by Holm; all questions together by the test
    alone. Fields come worst first, and the questions that only the base model has right in the same order. Raises
    UserError if there are no answers or the questions differ.
    """
    if not base or [_key(answer) for answer in base] != [_key(answer) for answer in tuned]:
        raise UserError("what was forgotten is told from answers of both models to the same questions; ask both again.")
    pairs: dict[str, list[tuple[GeneralAnswer, GeneralAnswer]]] = {}
    for before, after in zip(base, tuned, strict=True):
        pairs.setdefault(before.field, []).append((before, after))
    tallies = {field: _tally(of_field) for field, of_field in pairs.items()}
    corrected = holm([tally.p_value for tally in tallies.values()])
    fields = sorted((_figure(name, tally, p_value) for (name, tally), p_value
                     in zip(tallies.items(), corrected, strict=True)), key=lambda figure: figure.difference)
    overall = _tally(list(zip(base, tuned, strict=True)))
    fallen = [FallenQuestion(field=after.field, question=after.question, expected=after.right, tuned=after.chosen)
              for figure in fields for before, after in pairs[figure.name] if before.is_right and not after.is_right]
    return Forgetting(overall=_figure("all", overall, overall.p_value), fields=fields, fallen=fallen[:most_fallen],
                      drift=drift, tasks=list(tasks))


def _ask(speaker: Speaker, questions: Sequence[Question]) -> list[GeneralAnswer]:
    """The likeliest answer of each."""
    choices = [(*question.wrong, question.right) for question in questions]     # of equals, the first: a wrong one
    asked = [_conversation(question) for question, answers in zip(questions, choices, strict=True) for _ in answers]
    losses = iter(speaker.likelihood(asked, [answer for answers in choices for answer in answers]))
    found = []
    for question, answers in zip(questions, choices, strict=True):
        scored = {answer: _loss(*next(losses)) for answer in answers}
        chosen = min(answers, key=scored.__getitem__)
        found.append(GeneralAnswer(question.field, question.question, question.right, chosen))
    return found


def _loss(nll: float, tokens: int) -> float:
    """Of the whole answer with its end, not a token of it.

    Later pieces of a word are almost certain, so the mean favours words in many pieces: without SHOTS the
    embedded model has 54 % of the project's questions right by the sum, 44 % by the mean.
    """
    return nll if tokens and math.isfinite(nll) else math.inf


def _conversation(question: Question) -> Conversation:
    shots = [turn for asked, answered in SHOTS for turn in (Message("user", asked), Message("assistant", answered))]
    return (*shots, Message("user", question.question))


def _key(answer: GeneralAnswer) -> tuple[str, str, str]:
    return answer.field, answer.question, answer.right


def _tally(pairs: Sequence[tuple[GeneralAnswer, GeneralAnswer]]) -> _Tally:
    rights = [(before.is_right, after.is_right) for before, after in pairs]
    return _Tally(gained=rights.count((False, True)), lost=rights.count((True, False)),
                  both=rights.count((True, True)), questions=len(rights))


def _figure(name: str, tally: _Tally, p_value: float) -> FieldFigure:
    """Fewer than six questions have no interval."""
    low, high = (None, None) if tally.questions < MIN_EXAMPLES else paired_share_interval(
        tally.gained, tally.lost, tally.questions)
    return FieldFigure(
        name=name, questions=tally.questions, base=(tally.both + tally.lost) / tally.questions,
        tuned=(tally.both + tally.gained) / tally.questions,
        difference=(tally.gained - tally.lost) / tally.questions, low=low, high=high, is_decided=p_value <= LEVEL)


def _questions(lines: Sequence[ProbeLine]) -> list[Question]:
    questions: dict[tuple[str, str], str] = {}
    found = []
    for line in lines:
        question = Question(line.text("field"), line.text("question"), line.text("right"), _wrong(line))
        first = questions.setdefault((question.field, question.question), line.where)
        if first != line.where:
            raise DataError(f"{line.where}: the question {quoted(question.question)} stands at {first} too; "
                            "delete one of them.")
        found.append(question)
    return found


def _wrong(line: ProbeLine) -> tuple[str, ...]:
    wrong = line.values["wrong"]
    if not isinstance(wrong, list) or not wrong or not all(isinstance(one, str) and one.strip() for one in wrong):
        raise DataError(f"{line.where}: `wrong` is a list of one wrong answer or more, each a text.")
    if len({line.text("right"), *wrong}) <= len(wrong):
        raise DataError(f"{line.where}: an answer stands there twice; the right one and the wrong ones all differ.")
    return tuple(wrong)
