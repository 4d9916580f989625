"""The check `prompt-injection`: inputs that give orders to the model which reads them."""

from __future__ import annotations

from collections.abc import Sequence

from ft_notebook.data.checks.finding import Finding, Fix, counted
from ft_notebook.data.checks.orders import orders_in
from ft_notebook.data.checks.sides import prompts
from ft_notebook.data.checks.subject import Progress, Subject, each
from ft_notebook.data.versions.steps import DropRows
from ft_notebook.recipe.names import quoted


class PromptInjection:
    """Texts of users and tools, not of the system or the model, that try to take over."""

    name = "prompt-injection"
    is_default = True

    def find(self, subject: Subject, progress: Progress) -> Sequence[Finding]:
        """One finding; its fix drops the rows."""
        found: dict[int, list[str]] = {}
        for record in each(subject.records, progress, total=len(subject.records)):
            pieces = [piece for text in prompts(record) for piece in orders_in(text)]
            if pieces:
                found[record.row] = pieces
        if not found:
            return []
        rows = tuple(sorted(found))
        tries = counted(len(rows), "input tries", "inputs try")
        return [Finding(
            self.name, "harms",
            f"{tries} to give the model orders, such as {quoted(found[rows[0]][0], 70)}",
            "A model trained on answers to such texts learns to obey whoever writes its input. Drop the rows, unless "
            "their answers are refusals that you want it to learn.",
            rows, spots=found, fix=Fix(f"Drop {counted(len(rows), 'row')}", (DropRows(rows),)),
        )]
