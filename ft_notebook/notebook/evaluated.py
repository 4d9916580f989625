"""An evaluation that was made: what a notebook asks it for, and how it shows itself."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ft_notebook.data.examples import example_from_json
from ft_notebook.errors import RunError, UserError
from ft_notebook.evaluate.evaluation import EvaluatedRow, Evaluation, Preference
from ft_notebook.evaluate.likeness import words_that_moved
from ft_notebook.evaluate.preferring import AskedRow, asked_rows, conversation_of, people_preferences, with_people
from ft_notebook.recipe.names import quoted
from ft_notebook.store import durable
from ft_notebook.store.runs import RunFolder
from ft_notebook.train.supervise import Answerer

if TYPE_CHECKING:
    from ft_notebook.evaluate.generation.speaking import Conversation
    from ft_notebook.notebook.dashboard.nearest import Training
    from ft_notebook.notebook.review.reviewing import PairReview, RubricLike

REVIEWS = "reviews"                 # folder in a run's
EXPLAIN_BY = ("left_out", "gradients")


class Evaluated:
    """An evaluation that was made. Shown last in a cell it shows its dashboard."""

    def __init__(self, evaluation: Evaluation, path: Path) -> None:
        self._made = evaluation
        self.path = path
        """The file that keeps it."""

    @property
    def evaluation(self) -> Evaluation:
        """All that was measured, with what people said of these answers by now. Gates stand as they were judged."""
        run = self._run
        said = said_by_people(run, lambda asked: asked_rows(self._made, asked))
        if said is None:
            return self._made
        return self._made.model_copy(update={"preferences": with_people(self._made.preferences, said)})

    @property
    def _run(self) -> RunFolder:
        return RunFolder(self.path.absolute().parents[1])

    @property
    def verdict(self) -> str:
        """The verdict in one sentence."""
        return self._made.verdict.sentence

    @property
    def is_passed(self) -> bool:
        """Whether no gate of the recipe fails."""
        return self._made.is_passed

    def metrics(self) -> Any:
        """A row a contender and metric, as a pandas DataFrame."""
        import pandas

        return pandas.DataFrame([{"contender": one.name, **figure.model_dump()}
                                 for one in self._made.contenders for figure in one.figures])

    def rows(self) -> Any:
        """A row an evaluated row, with each contender's answer, as a pandas DataFrame."""
        import pandas

        return pandas.DataFrame([{
            "row": row.row, "prompt": row.prompt, "reference": row.reference, **row.slices,
            **{name: answer.text for name, answer in row.answers.items()},
            **{f"{name}: score": answer.score for name, answer in row.answers.items()},
        } for row in self._made.rows])

    def review(self, *, contenders: tuple[str, str] | None = None, count: int = 50, rubric: RubricLike = None,
               reviewer: str | None = None, seed: int = 0) -> PairReview:
        """Have people judge blindly between two contenders' answers: by default the tuned model and the best prompt."""
        from ft_notebook.notebook.review.reviewing import review_pairs

        run = self._run
        return review_pairs(self._made, contenders=contenders, count=count, rubric=rubric, reviewer=reviewer,
                            seed=seed, conversations=heldout_conversations(run), folder=run.path / REVIEWS)

    def explain(self, row: int, by: str = "left_out") -> Any:
        """Which words of a row moved the tuned model's answer, as a pandas DataFrame, the most telling first.

        The words are those of the last user turn; turns before it are asked as they stand.
        `moved`: by how much the answer's log-probability falls when the word is left out. by: `left_out`, or
        `gradients` (the extra `explain`), what each word adds by integrated gradients, counted from a prompt in which
        all are blank; the table's `attrs` then hold the `difference` that they should sum to and what is `missing`
        of it, and a warning says where that is much. Loads the model in a process of its own. Raises UserError if
        there is no such row or way, or captum is not installed.
        """
        import pandas

        if by not in EXPLAIN_BY:
            raise UserError(f"`by` is {quoted(str(by))}, but words are explained by one of "
                            f"{', '.join(map(quoted, EXPLAIN_BY))}.")
        found = next((each for each in self._made.rows if each.row == row), None)
        if found is None or "tuned" not in found.answers:
            raise UserError(f"there is no row {row} in this evaluation that the tuned model answered.")
        answer, attributes = found.answers["tuned"].text, {}
        *before, asked = self._conversation(found)
        answerer = Answerer(self.path.parents[1])
        try:
            if by == "gradients":
                gradients = answerer.word_gradients([*before, asked], answer)
                moved, attributes = gradients.words, {"difference": gradients.difference, "missing": gradients.missing}
                if not gradients.is_complete:
                    warnings.warn(gradients.complaint, stacklevel=2)
            else:
                moved = words_that_moved(lambda texts: answerer.log_likelihoods(
                    [[*before, {**asked, "content": text}] for text in texts], answer), asked["content"])
        finally:
            answerer.close()
        table = pandas.DataFrame(moved, columns=["word", "moved"])
        table = table.sort_values("moved", key=abs, ascending=False, ignore_index=True)
        table.attrs = attributes
        return table

    def figures(self) -> dict[str, Any]:
        """The contenders, the reliability of their confidence, and the slices, as plotly figures."""
        from ft_notebook.notebook.dashboard.figures import forest_figure, reliability_figure, slices_figure

        return {"contenders": forest_figure(self._made), "reliability": reliability_figure(self._made),
                "slices": slices_figure(self._made)}

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return self.evaluation.model_dump(mode="json")

    def save(self, path: str | os.PathLike[str]) -> str:
        """Write the evaluation as `.json`, `.html` or `.md`; returns a sentence on what was written."""
        target = Path(path)
        if target.suffix == ".json":
            durable.write_json(target, self.to_dict())
        elif target.suffix == ".html":
            durable.write_text(target, self.html())
        elif target.suffix == ".md":
            durable.write_text(target, self.markdown())
        else:
            raise UserError(f"{str(target)!r} ends neither in `.html` nor in `.json` nor in `.md`; a report is one of "
                            "these.")
        return f"Wrote {target}."

    def html(self) -> str:
        """A page of its own."""
        from ft_notebook.notebook.dashboard.card import page_html

        evaluation = self.evaluation
        return page_html(evaluation, self._training(evaluation))

    def markdown(self) -> str:
        """A page of Markdown."""
        from ft_notebook.evaluate.words.markdown_page import to_markdown

        return to_markdown(self.evaluation)

    def text(self) -> str:
        """Verdict, reasons, contenders and gates in plain lines."""
        from ft_notebook.notebook.dashboard.card import static_text

        return static_text(self.evaluation)

    def __repr__(self) -> str:
        return self.text()

    def _ipython_display_(self) -> None:
        from IPython.display import display

        from ft_notebook.notebook.dashboard.dashboard import Dashboard

        evaluation = self.evaluation
        for output in Dashboard(evaluation, training=self._training(evaluation)).outputs():
            display(output, raw=True)

    def _conversation(self, row: EvaluatedRow) -> list[dict[str, str]]:
        """What was asked in a row, with the turns before it where it is one of the held-out examples."""
        return [{"role": turn.role, "content": turn.content}
                for turn in conversation_of(row, heldout_conversations(self._run))]

    def _training(self, evaluation: Evaluation) -> Training:
        """The training examples that its rows name, while the run's data are as they were."""
        from ft_notebook.notebook.dashboard.nearest import NO_TRAINING, nearest_rows

        try:
            return nearest_rows(evaluation, self._run.train_lines())
        except RunError:
            return NO_TRAINING


def heldout_conversations(run: RunFolder) -> dict[str, Conversation]:
    """By id of each held-out example, what is asked in it."""
    return {row.id: row.prompt_messages for row in map(example_from_json, list(run.heldout_lines()))}


def said_by_people(run: RunFolder, rows: Callable[[Mapping[str, Conversation]], Sequence[AskedRow]]
                   ) -> list[Preference] | None:
    """What reviewers said of a run's answers; None where nobody was asked, or the run's data are not as they were.

    rows: given the conversations of the held-out examples, the rows of an evaluation.
    """
    folder = run.path / REVIEWS
    if not any(folder.glob("pairs-*.jsonl")):
        return None
    try:
        return people_preferences(rows(heldout_conversations(run)), folder)
    except RunError:
        return None
