"""The inspector's script on a plain page, fed by the real answers of this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import view_page
from view_page import change, draw, load_view

from ft_notebook.data.browse.browse import Browser
from ft_notebook.data.checks.finding import Finding, Fix
from ft_notebook.data.versions.steps import DropRows
from ft_notebook.notebook.inspector.inspector import SCRIPTS, Inspector


class Kernel(view_page.Kernel):
    """Answers the page with the real thing. What a thread says waits until `flush`."""

    inspector: Inspector

    def show(self, browser: Browser | None, **more: Any) -> Inspector:
        """Draw an inspector of this data."""
        self.inspector = Inspector(browser, **{"name": "tickets", **more})
        self.inspector._answers._send = self.outbox.append
        draw(self.page, state=self.inspector.state, work=self.inspector.work)
        return self.inspector

    def change(self) -> None:
        """Bring the page up to date with the inspector's state."""
        change(self.page, state=self.inspector.state, work=self.inspector.work)

    def flush(self) -> None:
        """Hand the page what came meanwhile."""
        self.page.evaluate("sent => { for (const each of sent) model.emit('msg:custom', each); }", self.emptied())
        self.page.evaluate("settled()")

    def take(self, message: Any) -> None:
        self.inspector._answers.take(message)


def load(page: Any, theme: str = "light") -> None:
    """A page with the script, without drawing anything."""
    load_view(page, theme, scripts=SCRIPTS, style="inspector/inspector.css")


def tickets(path: Path) -> Browser:
    """The project's own sample."""
    return Browser.open(path)


def findings(rows: Mapping[str, Sequence[int]]) -> list[dict[str, Any]]:
    """What checks would say of it, worst first."""
    said = [
        Finding("test-overlap", "blocks", "4 rows in both splits", "The score would flatter. Leave them out of one.", tuple(rows["both"]),
                fix=Fix("Drop 4 rows", (DropRows(tuple(rows["both"])),))),
        Finding("near-duplicates", "harms", "9 near duplicates", "They weigh more than others. Drop the copies.", tuple(sorted(rows["near"])),
                groups=(tuple(rows["near"]),), fix=Fix("Drop 8 copies", (DropRows(tuple(rows["near"][1:])),))),
        Finding("personal-data", "harms", "2 rows hold personal data: e-mail 2", "The model may repeat it. Mask it.", tuple(rows["mail"]),
                spots={row: ("@",) for row in rows["mail"]}),
        Finding("languages", "notice", "3 languages: en 281, de 14, es 7", "Good to know. Nothing needs to be done."),
    ]
    return [finding.to_dict() for finding in said]
