"""The report of a run, from what both contenders answered."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from pydantic import ValidationError

from ft_notebook.errors import PluginError, UserError
from ft_notebook.evaluate.builtin import metrics
from ft_notebook.evaluate.measured import Measured
from ft_notebook.evaluate.report import Report, RunFacts, build_report
from ft_notebook.hooks import Metric

FACTS = RunFacts(run_id="triage-1", name="triage", model="tiny", created=1.5, seconds=12.0, tokens_per_s=345.0)
METRICS: dict[str, Metric] = {metric.name: metric for metric in metrics()}


def measured(
    count: int, *, base_hits: int = 0, tuned_hits: int = 0, base_loss: float = 2.0, tuned_loss: float = 1.0
) -> list[Measured]:
    """Examples of four tokens; the first ones are hit."""
    return [
        Measured(
            id=f"id{i}", row=i + 1, prompt=f"question {i}", reference=f"the answer {i}",
            base_answer=f"the answer {i}" if i < base_hits else "dunno",
            tuned_answer=f"the answer {i}" if i < tuned_hits else "no idea",
            base_nll=(4 * base_loss + 0.01 * i, 4), tuned_nll=(4 * tuned_loss + 0.02 * i, 4))
        for i in range(count)
    ]


def report_of(examples: Sequence[Measured], *, chosen: Sequence[str] = (), facts: RunFacts = FACTS) -> Report:
    return build_report(facts, examples, metrics=METRICS, chosen=chosen, resamples=300, seed=0)


def test_a_gain_in_exact_match_is_the_verdict() -> None:
    report = report_of(measured(40, base_hits=1, tuned_hits=30))
    assert (report.verdict_kind, report.main_metric) == ("better", "exact_match")
    assert report.verdict.startswith("Tuning raised exact match by 72 points (95 % interval ")
    assert report.verdict.endswith("2 % before, 75 % after, on 40 held-out examples.")
    assert [result.name for result in report.metrics] == ["exact_match", "rouge_l"]
    assert report.loss is not None and report.loss.base == pytest.approx(2.0, abs=0.06)
    assert report.perplexity is not None and report.perplexity.examples == 40
    assert (report.heldout_examples, report.answered_examples, len(report.examples)) == (40, 40, 40)
    assert report.notes == []
    assert (report.run_id, report.seconds, report.tokens_per_s) == ("triage-1", 12.0, 345.0)


def test_classification_adds_accuracy_and_macro_f1() -> None:
    examples = [
        Measured(id=str(i), row=i, prompt="p", reference="ab"[i % 2], base_answer="a", tuned_answer="ab"[i % 2])
        for i in range(40)]
    report = report_of(examples)
    assert [result.name for result in report.metrics] == ["exact_match", "rouge_l", "accuracy", "macro_f1"]
    assert report.metrics[3].base == pytest.approx(1 / 3)
    assert report.loss is None and report.perplexity is None


def test_the_first_metric_of_the_recipe_decides() -> None:
    report = report_of(measured(40, base_hits=20, tuned_hits=40), chosen=["rouge_l", "exact_match", "rouge_l"])
    assert report.main_metric == "rouge_l"
    assert [result.name for result in report.metrics] == ["rouge_l", "exact_match"]


def test_an_unknown_metric_is_refused_with_the_nearest_spelling() -> None:
    with pytest.raises(UserError, match=r"`rouge-l` is no metric\. Did you mean `rouge_l`"):
        report_of(measured(3), chosen=["rouge-l"])


def test_without_any_exact_match_rouge_l_decides_and_without_that_the_loss() -> None:
    partial = [
        Measured(id=str(i), row=i, prompt="p", reference=f"reset the device {i}", base_answer="x",
                 tuned_answer="reset it", base_nll=(2.0 + i / 100, 1), tuned_nll=(1.0, 1))
        for i in range(40)]
    report = report_of(partial)
    assert report.main_metric == "rouge_l"
    assert "The verdict is on ROUGE-L, because exact match is zero before and after." in report.notes
    report = report_of(measured(40))
    assert (report.main_metric, report.verdict_kind) == ("loss", "better")
    assert "The verdict is on loss, because exact match and ROUGE-L are zero before and after." in report.notes


def test_zero_everywhere_and_no_loss_is_said_to_be_no_difference() -> None:
    examples = [Measured(id=str(i), row=i, prompt="p", reference="a b c d", base_answer="x", tuned_answer="y")
                for i in range(40)]
    report = report_of(examples)
    assert (report.main_metric, report.verdict_kind) == ("exact_match", "noise")
    assert "exact match 0 % before, 0 % after" in report.verdict


def test_plain_text_is_judged_by_its_loss() -> None:
    texts = [Measured(id=str(i), row=i, prompt=f"text {i}", base_nll=(30.0 + i, 10), tuned_nll=(20.0 + i * 1.35, 10))
             for i in range(35)]
    report = report_of(texts)
    assert (report.main_metric, report.verdict_kind) == ("loss", "better")
    assert report.metrics == [] and report.examples == [] and report.answered_examples == 0
    assert [example.id for example in report.improved] == ["0", "1", "2", "3", "4"]
    assert [example.id for example in report.worsened] == ["34", "33", "32", "31", "30"]
    assert report.improved[0].base_answer is None and report.improved[0].base_loss == 3.0


def test_nothing_measured_is_said() -> None:
    for examples in ([], [Measured(id="a", row=1, prompt="p", reference="r")]):
        report = report_of(examples)
        assert (report.verdict_kind, report.main_metric, report.loss) == ("nothing_measured", "", None)
        assert Report.from_json(report.to_json()) == report
        assert report.to_markdown()


def test_few_examples_are_pointed_out_in_words() -> None:
    assert ("Only 10 held-out examples were compared, so chance plays a large part: each of them moves exact match "
            "by up to 10 points.") in report_of(measured(10, tuned_hits=8)).notes
    assert any(note.startswith("Only 1 held-out example was") for note in report_of(measured(1, tuned_hits=1)).notes)
    assert not any("Only" in note for note in report_of(measured(30, tuned_hits=8)).notes)


def test_unanswered_examples_count_for_the_loss_alone() -> None:
    examples = measured(40, tuned_hits=20)
    examples += [Measured(id=f"more{i}", row=99, prompt="p", reference="r", base_nll=(8, 4), tuned_nll=(4 - i / 9, 4))
                 for i in range(10)]
    report = report_of(examples)
    assert (report.answered_examples, report.heldout_examples) == (40, 50)
    assert report.loss is not None and report.loss.examples == 50 and report.metrics[0].examples == 40
    assert "40 of 50 held-out examples were answered; the loss is over all of them." in report.notes
    assert not any(example.id.startswith("more") for example in report.improved)


def test_losses_that_are_no_numbers_are_left_out_by_row_not_averaged_away() -> None:
    examples = measured(40, tuned_hits=20)
    for i, broken in ((2, float("nan")), (8, float("inf"))):
        examples[i] = Measured(**{**vars(examples[i]), "tuned_nll": (broken, 4)})
    examples[5] = Measured(**{**vars(examples[5]), "base_nll": (0.0, 0), "tuned_nll": (0.0, 0)})
    report = report_of(examples)
    assert report.loss is not None and report.loss.examples == 37
    assert "Rows 3 and 9 have a loss that is not a finite number, and is left out of the loss." in report.notes
    assert "Row 6 has no trained token and no loss." in report.notes
    assert report.examples[2].tuned_loss is None
    assert Report.from_json(report.to_json()) == report


def test_examples_that_changed_most_come_first_both_ways() -> None:
    def example(name: str, base: str, tuned: str, gain: float = 0.0) -> Measured:
        return Measured(id=name, row=1, prompt="p", reference="a b c d", base_answer=base, tuned_answer=tuned,
                        base_nll=(2.0, 1), tuned_nll=(2.0 - gain, 1))

    report = report_of([
        example("same", "x", "x", gain=5),
        example("half better", "x", "a b"), example("hit", "x", "a b c d"), example("half worse", "a b", "x"),
        example("lost", "a b c d", "x"), example("less lost", "a b c d", "a b c"),
        example("likelier", "x", "y", gain=1), example("unlikelier", "x", "y", gain=-1),
        *(example(f"also hit {i}", "a b c", "a b c d") for i in range(4)),
    ])
    assert [one.id for one in report.improved] == ["hit", *(f"also hit {i}" for i in range(4))]
    assert [one.id for one in report.worsened] == ["lost", "less lost", "half worse", "unlikelier"]
    assert (report.improved[0].base_score, report.improved[0].tuned_score) == (0.0, 1.0)


def test_equal_answers_and_unanswered_examples_are_not_shown_as_changed() -> None:
    report = report_of([
        Measured(id="same", row=1, prompt="p", reference="r", base_answer="x", tuned_answer="x",
                 base_nll=(9.0, 1), tuned_nll=(1.0, 1)),
        Measured(id="unanswered", row=2, prompt="p", reference="r", base_nll=(1.0, 1), tuned_nll=(9.0, 1)),
    ])
    assert (report.improved, report.worsened) == ([], [])


def test_json_keeps_everything_and_nothing_else_is_read() -> None:
    report = report_of(measured(12, base_hits=2, tuned_hits=6))
    assert Report.from_json(report.to_json()) == report
    raw = json.loads(report.to_json())
    with pytest.raises(ValidationError):
        Report.from_json(json.dumps({**raw, "extra": 1}))
    assert report_of(measured(12, base_hits=2, tuned_hits=6)) == report


def test_long_and_broken_texts_are_kept_within_bounds() -> None:
    examples = [Measured(id="a", row=1, prompt="p" * 5000, reference="r", base_answer="\ud800", tuned_answer="r")]
    report = Report.from_json(report_of(examples).to_json())
    assert report.examples[0].prompt == "p" * 4000 + " … (1,000 more characters)"
    assert report.examples[0].base_answer == "?"


def test_markdown_shows_figures_and_keeps_hostile_texts_in_their_cells() -> None:
    examples = measured(40, tuned_hits=39)
    examples[0] = Measured(**{**vars(examples[0]), "prompt": "a|b\n`<script>", "base_answer": "![x](http://evil)"})
    text = report_of(examples, facts=RunFacts(**{**vars(FACTS), "name": "tri|age", "notes": ("<b>",)})).to_markdown()
    assert "## tri&#124;age: base against tuned" in text
    assert "| exact match | 0 % | 98 % | 98 points |" in text
    assert "| loss | " in text and "- &#60;b&#62;" in text
    assert "<script" not in text and "](" not in text
    assert "a&#124;b ↵ &#96;&#60;script&#62;" in text


def test_rows_make_a_data_frame() -> None:
    import pandas

    frame = pandas.DataFrame(report_of(measured(12, tuned_hits=6)).to_rows())
    assert frame["name"].tolist() == ["exact_match", "rouge_l", "loss", "perplexity"]
    assert frame.loc[0, "tuned"] == 0.5


def test_a_metric_that_cannot_say_whether_it_suits_is_named() -> None:
    class Unsure:
        name = "my_unsure"
        is_default = True

        def suits(self, references: Sequence[str]) -> bool:
            raise KeyError("x")

        def score(self, answers: Sequence[str], references: Sequence[str]) -> float:
            return 0.0

        def per_example(self, answers: Sequence[str], references: Sequence[str]) -> None:
            return None

    with pytest.raises(PluginError, match="my_unsure"):
        build_report(FACTS, measured(3), metrics={"my_unsure": Unsure()}, resamples=100, seed=0)
