"""The live view as a widget, for front ends that show widgets and have no server of ours beside them.

The page says by itself what it is (`hello`): only then is the widget put into the output, since a page
that cannot show it would show nothing else either. JupyterLab with our extension needs none of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import anywidget
import traitlets

from ft_notebook.errors import FtError
from ft_notebook.notebook.assets import asset
from ft_notebook.store.runs import RunFolder
from ft_notebook.train import steer
from ft_notebook.views.text import visible

WIDGET_MIME = "application/vnd.jupyter.widget-view+json"

Feed = Literal["none", "server", "widget"]      # what draws the run on the page, as far as the page has told


class LiveWidget(anywidget.AnyWidget):
    """One run on one page. `state` is what `views.live_state` makes; the page's requests go to the run."""

    _esm = asset("live.js")
    _css = asset("card.css")
    run_id = traitlets.Unicode().tag(sync=True)
    state = traitlets.Dict().tag(sync=True)

    def __init__(self, folder: RunFolder, state: Mapping[str, Any], *, feed: Feed = "none") -> None:
        super().__init__(run_id=folder.id, state=dict(state))
        self._folder = folder
        self.feed = feed
        self._hellos = 0
        self.on_msg(self._take)

    @property
    def is_loaded_again(self) -> bool:
        """Whether a page was loaded anew, or a second one opened, since the widget was made."""
        return self._hellos > 1

    def bundle(self) -> dict[str, Any]:
        """The widget as part of an output."""
        return {WIDGET_MIME: {"version_major": 2, "version_minor": 1, "model_id": self.model_id}}

    def _take(self, _: object, content: object, buffers: object) -> None:
        """A message from the page: what it can show, or what the user asks of the run."""
        match content:
            case {"type": "hello", "front": "server" | "widget" as front}:
                self.feed = front
                self._hellos += 1
            case {"type": "ask", "id": number, "kind": str(kind), **rest}:
                values = given if isinstance(given := rest.get("values"), dict) else {}
                self.send({"type": "said", "id": number, **_answer(lambda: steer.ask(self._folder, kind, values))})


def _answer(ask: Callable[[], str]) -> dict[str, object]:
    try:
        return {"ok": True, "text": visible(ask())}
    except FtError as error:
        return {"ok": False, "text": visible(error)}
