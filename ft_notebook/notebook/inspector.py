"""The inspector of a data set as a widget: findings, figures, and a table that stays fast at a million rows.

Thin: what the page asks is answered by `inspector_answers`, what stays in a saved notebook is `inspector_card`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any

import anywidget
import traitlets

from ft_notebook.data.browse import Browser
from ft_notebook.notebook.inspector_answers import Answers, See, finding_line
from ft_notebook.notebook.inspector_card import static_html, static_text
from ft_notebook.notebook.live import WIDGET_MIME
from ft_notebook.views.text import visible

FIRST_ROWS = 60         # that come with the view itself: a page cannot ask while the cell still runs

_FOLDER = files("ft_notebook.notebook")


class Inspector(anywidget.AnyWidget):
    """One data set on a page. Without a browser it says that the data are being read, until it is given one.

    findings: as `Finding.to_dict` gives them, worst first. numbers: figures by what they count, `{"tokens": "21,480"}`.
    see: the tokens of a row, `{"tokens": [{"text", "is_trained", "is_special"}], "text": a sentence or ""}`; it is
    called in a thread, one row at a time, and may raise FtError. on_fix: makes a new version of the findings whose
    places it is given (none: of the edits alone) and of `browser.edits`, and says what it made.
    """

    _esm = _FOLDER.joinpath("inspector.js").read_text(encoding="utf-8")
    _css = "".join(_FOLDER.joinpath(name).read_text(encoding="utf-8") for name in ("card.css", "inspector.css"))
    state = traitlets.Dict().tag(sync=True)

    def __init__(self, browser: Browser | None, *, name: str, findings: Sequence[Mapping[str, Any]] = (),
                 numbers: Mapping[str, str] | None = None, see: See | None = None,
                 on_fix: Callable[[list[int]], str] | None = None) -> None:
        self._answers = Answers(browser, findings, send=self.send, see=see, on_fix=on_fix)
        self._name, self._numbers = name, dict(numbers or {})
        self._can = {"see": see is not None, "fix": on_fix is not None}
        self._version = 0
        super().__init__(state=self._state())
        self.on_msg(self._take)

    def set_browser(self, browser: Browser) -> None:
        """The data, once they are read."""
        self._answers.browser = browser
        self._version += 1
        self.state = self._state()

    def set_findings(self, findings: Sequence[Mapping[str, Any]]) -> None:
        """Other findings, worst first."""
        self._answers.findings = list(findings)
        self._version += 1
        self.state = self._state()

    def set_numbers(self, numbers: Mapping[str, str]) -> None:
        """Other figures."""
        self._numbers = dict(numbers)
        self.state = self._state()

    def fail(self, words: object) -> None:
        """Say why there is nothing to look at."""
        self.state = {**self._state(), "phase": "failed", "words": visible(words)}

    def bundle(self) -> dict[str, Any]:
        """The inspector as an output: the widget, and what stays of it where no kernel is."""
        bundle: dict[str, Any] = {WIDGET_MIME: {"version_major": 2, "version_minor": 1, "model_id": self.model_id}}
        browser, findings = self._answers.browser, self._answers.findings
        if browser is not None:
            bundle["text/html"] = static_html(browser, findings, self._numbers, name=self._name)
            bundle["text/plain"] = visible(static_text(self._name, browser.total, findings))
        return bundle

    def _state(self) -> dict[str, Any]:
        """All that the page shows without asking."""
        browser = self._answers.browser
        state: dict[str, Any] = {
            "phase": "live" if browser is not None else "loading", "words": "", "name": visible(self._name),
            "numbers": [[visible(label), visible(figure)] for label, figure in self._numbers.items()],
            "findings": [finding_line(*each) for each in enumerate(self._answers.findings)],
            "version": self._version, "can": self._can, "columns": [], "first": None, "marks": {}}
        if browser is None:
            return state
        columns = [{"name": column.name, "kind": column.kind} for column in browser.columns()]
        return {**state, "columns": columns, "first": self._answers.first_page(FIRST_ROWS),
                "marks": self._answers.marks()}

    def _take(self, _: object, content: object, buffers: object) -> None:
        self._answers.take(content)
