"""From `%load_ext` to a curve that moves: the embedded model in a real JupyterLab, in two cells."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lab import CHROMIUM, Lab, write_notebook

from ft_notebook.store.runs import RunStore

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs Debian's chromium (apt-get install chromium)")
pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install playwright)")

MOST_S = 60.0
POINTS = """() => (document.querySelector(".ftn-live path.ftn-raw")?.getAttribute("d")?.match(/[ML]/g) ?? []).length"""


def test_a_curve_moves_within_a_minute_of_loading_the_extension(own_store: Path, tmp_path: Path, playwright: Any,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    from ft_notebook.models.embedded import embedded_model_folder, packaged_gguf

    if packaged_gguf() is None:
        pytest.skip("needs the package of the embedded model (make install)")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    embedded_model_folder(say=print)        # its conversion happens once on a machine
    folder = tmp_path / "work"
    folder.mkdir()
    write_notebook(folder / "triage.ipynb", ["%load_ext ft_notebook", '%%finetune triage\ndata: "sample:tickets"'])
    with Lab(folder, {"FT_NOTEBOOK_HOME": os.environ["FT_NOTEBOOK_HOME"]}) as lab:
        page = lab.open(playwright, "triage.ipynb")
        page.click(".jp-Notebook .jp-Cell >> nth=0")
        started = time.monotonic()
        page.keyboard.press("Shift+Enter")
        page.keyboard.press("Shift+Enter")
        points = []
        while len(points) < 2:
            assert time.monotonic() - started < 5 * MOST_S, "no curve came"
            if (now := page.evaluate(POINTS)) >= 2 and now not in points:
                points.append(now)
            page.wait_for_timeout(100)
        took = time.monotonic() - started
        run = RunStore().find("triage")
        run.request("stop", keep=False)
        page.context.browser.close()
    while run.is_alive():
        time.sleep(0.1)
    print(f"\nsoak: the curve of the embedded model moved {took:.0f} s after `%load_ext`, in 2 cells")
    assert took < MOST_S
