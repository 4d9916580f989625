"""What an evaluation asks besides its rows: what the tuned model knows by heart, what it forgot, and hard inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

from ft_notebook.data.chat.chat import render_prompt
from ft_notebook.data.examples import Example
from ft_notebook.data.inspection import evenly
from ft_notebook.evaluate.evaluation import Drift, FieldFigure, Forgetting, HardSuite, Preference
from ft_notebook.evaluate.fitting import MemoryCase, Recited, memory_case, memory_cases
from ft_notebook.evaluate.generation.generate import speak_all
from ft_notebook.evaluate.generation.speaking import Spoken
from ft_notebook.evaluate.judge_model import Judged, ask_judge, preference_by
from ft_notebook.evaluate.material import Heard
from ft_notebook.evaluate.metrics.exact_match import ExactMatch
from ft_notebook.evaluate.probes.answer_form import AnswerForm
from ft_notebook.evaluate.probes.drift import MAX_NEW_TOKENS, drift_prompts, measure_drift
from ft_notebook.evaluate.probes.forgetting import (
    GeneralAnswer,
    Question,
    ask_general,
    forgetting,
    general_questions,
    read_questions,
)
from ft_notebook.evaluate.probes.hard import hard_cases, hard_suites, read_suite
from ft_notebook.evaluate.probes.lm_eval_tasks import lm_eval_tasks
from ft_notebook.train.evaluated import UnderEvaluation, Voice

FIT_ROWS = 60           # training examples that the tuned model answers
RECITED_ROWS = 40       # and at most so many whose beginning it is given
RECITED_TOKENS = 48


def ask_trained(about: UnderEvaluation) -> list[tuple[Example, Spoken]]:
    """What the tuned model answers to training examples."""
    chosen = evenly([example for example in about.train if example.has_target], FIT_ROWS)
    asked = about.ask(about.tuned, [example.prompt_messages for example in chosen], "training examples")
    return list(zip(chosen, asked.spoken, strict=True))


def recite(about: UnderEvaluation) -> tuple[Recited, Recited]:
    """How the tuned model goes on, given the beginning of long training examples, and of rows."""
    trained = memory_cases(about.train, most=RECITED_ROWS)
    rows = [case for case in map(memory_case, about.rows) if case is not None][:RECITED_ROWS] if trained else []
    cases = [*trained, *rows]

    def go_on() -> list[str]:
        texts = [_opened(case, about.tuned) for case in cases]
        return [one.text for one in speak_all(
            about.tuned.model, about.tuned.tokenizer, texts, max_new_tokens=RECITED_TOKENS,
            on_progress=partial(about.say, "what it knows by heart"))]

    key = " ".join(case.example.id for case in cases)
    said = about.once("recited", f"{about.tuned.key} {key}", go_on) if cases else []
    recited = [(case.example, text) for case, text in zip(cases, said, strict=True)]
    return recited[:len(trained)], recited[len(trained):]


def _opened(case: MemoryCase, voice: Voice) -> str:
    return (render_prompt(case.prompt, voice.tokenizer) if case.prompt else "") + case.opening


def ask_forgotten(about: UnderEvaluation) -> Forgetting:
    """General questions and requests, before and after."""
    own = about.recipe.report.questions
    questions = [*general_questions(), *(read_questions(own) if own else ())]
    before, after = (_general(about, voice, questions) for voice in (about.base, about.tuned))
    return forgetting(before, after, _drift(about), tasks=_tasks(about))


def _general(about: UnderEvaluation, voice: Voice, questions: Sequence[Question]) -> list[GeneralAnswer]:
    def chosen() -> list[str]:
        return [answer.chosen for answer in ask_general(
            voice.speaker, questions, on_progress=partial(about.say, f"general questions, {voice.name}"))]

    found = about.once("general", f"{voice.key} {questions!r}", chosen)
    return [GeneralAnswer(question.field, question.question, question.right, answer)
            for question, answer in zip(questions, found, strict=True)]


def _tasks(about: UnderEvaluation) -> list[FieldFigure]:
    report, tuned = about.recipe.report, about.tuned
    if not report.tasks:
        return []
    about.say("tasks of lm-eval", 0, 1)

    def run() -> list[dict[str, object]]:
        return [one.model_dump(mode="json") for one in lm_eval_tasks(
            tuned.model, tuned.tokenizer, report.tasks, base=_switch(about), include=report.tasks_folder,
            limit=report.limit, seed=about.recipe.train.seed)]

    key = f"{about.base.key} {tuned.key} {report.tasks} {report.tasks_folder} {report.limit}"
    return [FieldFigure.model_validate(one) for one in about.once("tasks", key, run)]


def _switch(about: UnderEvaluation) -> Callable[[], AbstractContextManager[Any]]:
    """The context in which the base model can be asked: of the tuned model, or one that gives another."""
    base = about.base
    return base.switched if base.model is about.tuned.model else lambda: nullcontext(base.model)


def _drift(about: UnderEvaluation) -> Drift | None:
    prompts = drift_prompts()
    said, says = (about.ask(voice, prompts, f"general requests, {voice.name}", max_new_tokens=MAX_NEW_TOKENS).spoken
                  for voice in (about.base, about.tuned))
    base, tuned = about.base, about.tuned

    def measure() -> dict[str, object] | None:
        found = measure_drift(
            tuned.model, tuned.tokenizer, prompts=prompts, base_answers=said, tuned_answers=says,
            base=_switch(about), give_way=partial(about.say, "drift from the base model", 0, 1))
        return None if found is None else found.model_dump(mode="json")

    kept = about.once("drift", f"{base.key} {tuned.key} {prompts!r}", measure)
    return None if kept is None else Drift.model_validate(kept)


def ask_for_preference(about: UnderEvaluation, heard: Sequence[Heard]) -> list[Preference]:
    """What the judge model that the recipe names says of the tuned model's answers against each other contender's."""
    name = about.recipe.report.judge
    if not name:
        return []
    tuned = next(one for one in heard if one.name == "tuned")
    ours = [spoken.text for spoken in tuned.spoken]
    found = [preference_by(_judged(about, name, ours, one), contender=one.name, judge=name)
             for one in heard if one.name != "tuned"]
    return [one for one in found if one is not None]


def _judged(about: UnderEvaluation, judge: str, ours: Sequence[str], other: Heard) -> list[Judged]:
    theirs = [spoken.text for spoken in other.spoken]

    def judged() -> list[tuple[bool | None, bool | None]]:
        said = ask_judge(about.voice_of(judge).speaker, about.rows, ours, theirs,
                         on_progress=partial(about.say, f"{judge} on {other.title}"))
        return [(one.straight, one.swapped) for one in said]

    key = repr([judge, [row.id for row in about.rows], ours, theirs])
    return [Judged(*both) for both in about.once("judge", key, judged)]


def try_hard(about: UnderEvaluation, heard: Sequence[Heard]) -> list[HardSuite]:
    """Inputs that are hard to handle, before and after."""
    suite = about.recipe.report.suite
    cases = hard_cases(about.rows, seed=about.recipe.train.seed, own=read_suite(suite) if suite else ())
    before, after = (about.ask(voice, [case.conversation for case in cases], f"hard inputs, {voice.name}").spoken
                     for voice in (about.base, about.tuned))
    references = [row.target or "" for row in about.rows]
    right = {
        one.name: {row.id for row, is_hit in zip(about.rows, ExactMatch().per_example(
            [spoken.text for spoken in one.spoken], references), strict=True) if is_hit}
        for one in heard if one.name in ("base", "tuned")}
    form = AnswerForm.of([example.target or "" for example in about.train])
    return hard_suites(cases, before, after, form, base_right=right["base"], tuned_right=right["tuned"])
