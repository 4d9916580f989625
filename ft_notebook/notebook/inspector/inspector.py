"""The inspector of a data set as a widget: findings, figures, and a table that stays fast at a million rows.

Thin: what the page asks is answered by `answers.py`, what stays in a saved notebook is `card.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import anywidget
import traitlets

from ft_notebook.data.browse.browse import Browser
from ft_notebook.notebook.assets import asset
from ft_notebook.notebook.inspector.answers import Answers, See
from ft_notebook.notebook.inspector.card import static_html, static_text
from ft_notebook.notebook.inspector.lines import chart_lines, finding_line, numbered
from ft_notebook.notebook.inspector.standing import Standing
from ft_notebook.notebook.live import WIDGET_MIME
from ft_notebook.views.text import visible

SCRIPTS = ("dom.js", "inspector/inspector.js", "inspector/charts.js")       # parts of one module
FIRST_ROWS = 60         # that come with the view itself: a page cannot ask while the cell still runs



class Inspector(anywidget.AnyWidget):
    """One data set on a page. Without a browser it says that the data are being read, until it is given one.

    findings: as `Finding.to_dict` gives them, worst first; `finding`, if it is there, is the number by which one is
    called, else its place. numbers: figures by what they count, `{"tokens": "21,480"}`. charts: as
    `numbers.charts_of` gives them.
    see: the tokens of a row, `{"tokens": [{"text", "is_trained", "is_special", "is_kept"}], "text": a sentence or ""}`;
    it is called in a thread, one row at a time, and may raise FtError. on_fix: makes a new version of the findings of
    these numbers (none: of the edits alone) and of `browser.edits`, and says what it made. on_work: what `stop` and
    `start` do to the checks that `set_work` tells of. cell: a cell that trains on the data, and what to mind about it.
    """

    _esm = asset(*SCRIPTS)
    _css = asset("card.css", "inspector/inspector.css")
    state = traitlets.Dict().tag(sync=True)
    work = traitlets.Dict().tag(sync=True)

    def __init__(self, browser: Browser | None, *, name: str, findings: Sequence[Mapping[str, Any]] = (),
                 numbers: Mapping[str, str] | None = None, charts: Sequence[Mapping[str, Any]] = (),
                 see: See | None = None, on_fix: Callable[[list[int]], str] | None = None,
                 on_work: Mapping[str, Callable[[], None]] | None = None,
                 cell: Callable[[], tuple[str, str]] | None = None) -> None:
        self._answers = Answers(browser, findings, send=self.send, see=see, on_fix=on_fix, on_work=on_work, cell=cell)
        self._name, self._numbers, self._charts = name, dict(numbers or {}), list(charts)
        self._can = {"see": see is not None, "fix": on_fix is not None, "train": cell is not None}
        self._version = 0
        super().__init__(state=self._state())
        self.on_msg(self._take)

    def set_browser(self, browser: Browser) -> None:
        """The data, once they are read."""
        self._answers.browser = browser
        self._version += 1
        self.state = self._state()

    def set_findings(self, findings: Sequence[Mapping[str, Any]]) -> None:
        """Other findings, worst first. What the user does to the table goes on."""
        self._answers.findings = numbered(findings)
        self.state = self._state()

    def set_numbers(self, numbers: Mapping[str, str], charts: Sequence[Mapping[str, Any]] | None = None) -> None:
        """Other figures, and other charts if they are given."""
        charts = self._charts if charts is None else list(charts)
        if (self._numbers, self._charts) != (dict(numbers), charts):
            self._numbers, self._charts = dict(numbers), charts
            self.state = self._state()

    def set_work(self, standing: Standing) -> None:
        """How far the checks are."""
        self.work = {"phase": standing.phase, "words": visible(standing.words()), "share": standing.share}

    def fail(self, words: object) -> None:
        """Say why there is nothing to look at."""
        self.state = {**self._state(), "phase": "failed", "words": visible(words)}

    def bundle(self) -> dict[str, Any]:
        """The inspector as an output: the widget, and what stays of it where no kernel is."""
        bundle: dict[str, Any] = {WIDGET_MIME: {"version_major": 2, "version_minor": 1, "model_id": self.model_id}}
        browser, findings = self._answers.browser, self._answers.findings
        if browser is not None:
            listed = list(findings.values())
            bundle["text/html"] = static_html(browser, listed, self._numbers, name=self._name, charts=self._charts)
            bundle["text/plain"] = visible(static_text(self._name, browser.total, listed))
        return bundle

    def _state(self) -> dict[str, Any]:
        """All that the page shows without asking."""
        browser = self._answers.browser
        state: dict[str, Any] = {
            "phase": "live" if browser is not None else "loading", "words": "", "name": visible(self._name),
            "numbers": [[visible(label), visible(figure)] for label, figure in self._numbers.items()],
            "findings": [finding_line(*each) for each in self._answers.findings.items()],
            "charts": list(map(chart_lines, self._charts)),
            "version": self._version, "can": self._can, "columns": [], "first": None, "marks": {}}
        if browser is None:
            return state
        columns = [{"name": column.name, "kind": column.kind} for column in browser.columns()]
        return {**state, "columns": columns, "first": self._answers.first_page(FIRST_ROWS),
                "marks": self._answers.marks()}

    def _take(self, _: object, content: object, buffers: object) -> None:
        self._answers.take(content)
