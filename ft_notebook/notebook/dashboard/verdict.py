"""The head of an evaluation's card: what to do, in one sentence, and why."""

from __future__ import annotations

from ft_notebook.evaluate.evaluation import Evaluation
from ft_notebook.evaluate.words.words import SIGNS, subject_words, verdict_words
from ft_notebook.notebook.render import Html, tag

KINDS = {"ship": "ftn-verdict", "hold": "ftn-verdict ftn-bad", "undecided": "ftn-verdict ftn-noise"}
"""The look of the band; a sign and the words say the same."""


def band(evaluation: Evaluation) -> Html:
    """The verdict."""
    verdict = evaluation.verdict
    return tag("p", tag("b", SIGNS[verdict.kind], aria_hidden="true"), " ",
               tag("span", verdict_words(verdict)), class_=KINDS[verdict.kind])


def reasons(evaluation: Evaluation) -> list[Html]:
    """Each with a sign of its own, then what qualifies the verdict, then what was evaluated."""
    told = [tag("li", tag("b", "✓" if reason.is_good else "✗", class_="ftn-good" if reason.is_good else "ftn-poor",
                          role="img", aria_label="for it:" if reason.is_good else "against it:"), " ", reason.text)
            for reason in evaluation.verdict.reasons]
    parts = [tag("ul", *told, class_="ftn-reasons", aria_label="Reasons")] if told else []
    parts += [tag("p", tag("b", "●", aria_hidden="true"), " ", tag("span", note), class_="ftn-info")
              for note in evaluation.notes]
    return [*parts, tag("p", tag("b", evaluation.name), " · ", subject_words(evaluation), class_="ftn-sub")]
