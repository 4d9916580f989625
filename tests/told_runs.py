"""Runs as their events tell them, for tests of what is shown of a run; the same at every call."""

from __future__ import annotations

import math
from typing import Any

from ft_notebook.evaluate.report import ExampleResult, MetricResult, Report
from ft_notebook.events import (
    CheckpointEvent,
    ErrorEvent,
    EvaluationEvent,
    Event,
    MessageEvent,
    PlanEvent,
    ResumeEvent,
    SampleEvent,
    StateEvent,
    StepEvent,
)
from ft_notebook.views.facts import RunFacts
from ft_notebook.views.run_view import RunView

START = 1795356000.0        # a moment in November 2026

PROMPTS = [
    ("App crashes whenever I upload a PDF. Third time today!!", "Technical issue, file upload, high priority",
     ["I'm sorry to hear that. Have you tried restarting the app? If the problem persists, please", "Technical, upload",
      "Technical issue, file upload, medium priority", "Technical issue, file upload, high priority"]),
    ("Wie ändere ich die Rechnungsadresse?", "Account, billing address, low priority",
     ["Um die Rechnungsadresse zu ändern, gehen Sie bitte wie folgt vor:", "Billing, address",
      "Billing, billing address, low priority", "Account, billing address, low priority"]),
]


def loss_at(step: int, total: int) -> float:
    """A falling loss with a wobble that looks like noise and is the same every time."""
    share = 240 * step / total
    return 0.62 + 2.5 * math.exp(-share / 38) + 0.14 * math.sin(step * 12.9898) * math.cos(step * 7.233)


def step(number: int, total: int, **changes: Any) -> StepEvent:
    values: dict[str, Any] = dict(
        step=number, steps=total, epoch=3 * number / total, loss=loss_at(number, total),
        learning_rate=2e-4 * min(1.0, 10 * number / total) * (1 - number / total),
        grad_norm=0.7 + 3 * math.exp(-240 * number / total / 30) + 0.2 * math.sin(number), tokens=186, trained_tokens=40,
        step_s=1.0, tokens_per_s=186.0, example_ids=[], peak_memory_bytes=2_900_000_000, time=START + number)
    return StepEvent(**{**values, **changes})


def steps(count: int, total: int = 240) -> list[StepEvent]:
    return [step(number, total) for number in range(1, count + 1)]


def evaluation(number: int, loss: float, **changes: Any) -> EvaluationEvent:
    values: dict[str, Any] = dict(step=number, loss=loss, perplexity=math.exp(loss), trained_tokens=900, is_best=False,
                                  duration_s=1.0, time=START + number)
    return EvaluationEvent(**{**values, **changes})


def evaluations(count: int, reached: int) -> list[EvaluationEvent]:
    """The base model's and `count - 1` more, evenly up to `reached`; the best is near the middle."""
    at = [round(reached * index / max(1, count - 1)) for index in range(count)]
    return [evaluation(number, 0.78 + 2.3 * math.exp(-240 * number / reached / 40)
                       + max(0.0, number / reached - 0.55) * 0.6) for number in at]


def plan(total: int = 240) -> PlanEvent:
    return PlanEvent(
        train_examples=182, heldout_examples=61, total_tokens=14_880, trained_tokens=3_900, truncated_examples=2,
        longest_tokens=212, trainable_parameters=4_884_480, total_parameters=139_000_000, epochs=3.0, steps=total,
        batch_size=8, accumulate=1, memory_low_bytes=2 * 10**9, memory_expected_bytes=3_100_000_000,
        memory_high_bytes=4 * 10**9, disk_bytes=10**8, device="cpu", precision="fp32", time=START)


def checkpoint(number: int) -> CheckpointEvent:
    return CheckpointEvent(step=number, path=f"checkpoints/step-{number:08d}", digest="d", size_bytes=10**7,
                           reason="schedule", time=START + number)


def samples(at: list[int], prompts: list[tuple[str, str, list[str]]] = PROMPTS) -> list[SampleEvent]:
    """The answers in turn at the steps; the last ones are repeated."""
    return [SampleEvent(step=number, prompt_index=index, prompt=prompt, reference=reference,
                        answer=answers[min(turn, len(answers) - 1)], time=START + number)
            for turn, number in enumerate(at) for index, (prompt, reference, answers) in enumerate(prompts)]


def resume(from_step: int) -> ResumeEvent:
    return ResumeEvent(from_step=from_step)


OVERFITTING = MessageEvent(
    level="warning", title="Overfitting since step 132.", code="overfitting", step=168, time=START + 168,
    text="Held-out loss has risen at two evaluations in a row while train loss falls. The best checkpoint is kept; "
         "stopping now loses nothing.")
NOT_FINITE = ErrorEvent(
    kind="NonFiniteError", text="The loss of step 61 is not finite (nan). A learning rate of 5e-3 is high for this "
    "method; try 5e-4.", example_ids=["ticket-88", "ticket-203"], time=START + 61)
RECIPE = "model: smollm2-135m-instruct\ndata: tickets\nmethod: qlora\ntrain:\n  learning_rate: 0.0002\n"


def metric(name: str = "exact_match", **changes: Any) -> MetricResult:
    values: dict[str, Any] = dict(
        name=name, base=0.0, base_low=0.0, base_high=0.02, tuned=0.57, tuned_low=0.44, tuned_high=0.69, difference=0.57,
        low=0.44, high=0.69, is_noise=False, examples=61)
    return MetricResult(**{**values, **changes})


def report(**changes: Any) -> Report:
    examples = [ExampleResult(
        id=f"ticket-{index}", row=17 + index, prompt=prompt, reference=reference, base_answer=answers[0],
        tuned_answer=answers[-1], base_score=0.0, tuned_score=1.0, base_loss=None, tuned_loss=None)
        for index, (prompt, reference, answers) in enumerate(PROMPTS)]
    loss = metric("loss", base=3.08, base_low=None, base_high=None, tuned=0.9, tuned_low=None, tuned_high=None,
                  difference=-2.18, low=-2.3, high=-2.0, is_share=False, is_higher_better=False)
    values: dict[str, Any] = dict(
        run_id="triage-1", name="triage", model="smollm2-135m-instruct", created=START, heldout_examples=61,
        answered_examples=61, metrics=[metric(), metric("rouge_l", base=0.11, tuned=0.81, difference=0.7)], loss=loss,
        perplexity=None, main_metric="exact_match", improved=examples, worsened=[], examples=examples,
        verdict="Tuning raised exact match by 57 points (95 % interval 44 to 69): 0 % before, 57 % after, on 61 "
                "held-out examples.", verdict_kind="better", notes=[], seconds=240.0, tokens_per_s=186.1)
    return Report(**{**values, **changes})


def state(name: str, at: float = 0.0) -> StateEvent:
    return StateEvent(state=name, time=START + at)  # type: ignore[arg-type]


def facts(*events: Event, **more: Any) -> RunFacts:
    """The facts of a run called triage that said these events."""
    values: dict[str, Any] = dict(name="triage", run_id="triage-20261122-013200-ab12",
                                  subject="smollm2-135m-instruct · qlora r16 · tickets", recipe_text=RECIPE)
    view = RunView.of(event.model_copy(update={"seq": at}) for at, event in enumerate(events, start=1))
    return RunFacts(**{**values, **more}, view=view)


def finished(total: int = 240, *, evaluated: int = 11, sampled: int = 4, **more: Any) -> RunFacts:
    """A run that came to its end, with everything that can be there."""
    turns = [round(total * turn / max(1, sampled - 1)) for turn in range(sampled)]
    kept = [checkpoint(round(total * share)) for share in (0.25, 0.5, 0.75, 1.0)]
    values: dict[str, Any] = {"report": report(), "advice": 'Ask it: triage.generate("…").', **more}
    return facts(state("queued"), plan(total), *steps(total, total), *evaluations(evaluated, total), *samples(turns),
                 *kept, OVERFITTING, state("finished", total), **values)


def training() -> RunFacts:
    """A run in the middle of it."""
    return facts(state("training"), plan(), *steps(179), *evaluations(8, 168), *samples([0, 48, 120, 168]),
                 checkpoint(40), checkpoint(120), OVERFITTING)


def failed() -> RunFacts:
    """A run that ended at a loss that is not finite."""
    return facts(state("training"), plan(), *steps(60), *evaluations(3, 48), checkpoint(40), NOT_FINITE,
                 state("failed", 61), log_tail="step 60 loss 1.31\nstep 61 loss nan\nNonFiniteError: loss is nan")


def cut_off() -> RunFacts:
    """A run whose worker is gone without a word."""
    told = facts(state("training"), plan(235), *steps(48, 235), *evaluations(2, 40), *samples([0, 40]), checkpoint(40),
                 advice="The worker is gone without a word: it was killed, or memory ran out. triage.resume() goes on "
                        "from step 40.", log_tail="Killed")
    told.view.state = "interrupted"
    return told


def queued() -> RunFacts:
    """A run that has said nothing yet."""
    return facts(state("queued"))
