"""What a run leaves in the notebook: one output that needs no kernel, no server and no script of ours."""

from __future__ import annotations

import base64
import time
from typing import Any

from ft_notebook.notebook.cards import run_card
from ft_notebook.notebook.plain import run_text
from ft_notebook.views.facts import RunFacts
from ft_notebook.views.live_state import LIVE_MIME, kept_state

RUN_MIME = "application/vnd.ft-notebook.run+json"
RESUMABLE = frozenset({"stopped", "failed", "interrupted"})


def last_output(facts: RunFacts) -> dict[str, Any]:
    """What replaces the live view when a run is over. One that can go on stays live where a page can show it so."""
    bundle = final_bundle(facts)
    if facts.view.state in RESUMABLE:
        bundle[LIVE_MIME] = bundle.pop(RUN_MIME)
    return bundle


def final_bundle(facts: RunFacts, *, now: float | None = None) -> dict[str, Any]:
    """The output's MIME types: the facts for a front end that knows us, the card, a picture, and text.

    `now` is in seconds since the epoch; below 120 kB for whatever run.
    """
    from ft_notebook.notebook.drawing.picture import run_picture  # Pillow is for this moment only

    now = time.time() if now is None else now
    return {
        RUN_MIME: kept_state(facts, now=now),
        "text/html": run_card(facts, now=now),
        "image/png": base64.b64encode(run_picture(facts, now=now)).decode(),
        "text/plain": run_text(facts, now=now),
    }
