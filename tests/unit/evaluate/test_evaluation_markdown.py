"""The page of Markdown: what it says, and that no text gets out of its place."""

from __future__ import annotations

import html
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2]))

from hostile import HOSTILE
from sample_evaluation import everywhere, sample

from ft_notebook.evaluate.words.markdown_page import to_markdown

HEADINGS = ["triage: was it worth it?", "1 gate failed", "All figures, with 95 % intervals", "Differences on the same rows, with 95 % intervals", "What was forgotten",
            "General questions by field", "Other tasks", "Questions that only the base model answered", "Calibration", "Fit", "Slices, the worst first",
            "Gaps between groups", "Hard inputs handled", "Hard inputs that it failed", "Preferences, blind and with order swapped", "Failures: 19 of 180 rows"]


def headings(text):
    return [html.unescape(line.lstrip("# ")) for line in text.splitlines() if line.startswith("#")]


def test_the_page_has_the_verdict_its_reasons_and_each_part():
    text = to_markdown(sample())
    assert headings(text) == HEADINGS
    lines = text.splitlines()
    assert lines[2].startswith("**✓ Ship: &#43;38 points") or lines[2].startswith("**✓ Ship: +38 points")
    assert "- ✓ nothing forgotten" in lines and any(line.startswith("- ✗ language de is 24 points") for line in lines)
    assert "9 more failures not shown." in lines and len(text) < 12_000


def test_parts_that_were_not_measured_are_left_out():
    text = to_markdown(sample(forgetting=None, calibration=None, fit=None, slices=[], gaps=[], hard=[], preferences=[], gates=[], notes=[], differences=[]))
    assert headings(text) == [HEADINGS[0], HEADINGS[2], HEADINGS[-1]]
    assert "Note:" not in text


def test_long_tables_and_texts_are_cut_and_say_so():
    found = sample()
    many = found.model_copy(update={"slices": found.slices * 10})
    assert "28 more rows not shown." in to_markdown(many) and to_markdown(many).count("| language: de |") == 3
    rows = [row.model_copy(update={"prompt": "word " * 500}) for row in found.rows]
    assert "(2,500 characters)" in to_markdown(found.model_copy(update={"rows": rows}))


@pytest.mark.parametrize("text", HOSTILE)
def test_every_hostile_string_in_every_slot_reads_as_text(text):
    shown, plain = to_markdown(everywhere(text)), to_markdown(everywhere("plain"))
    assert len(shown.splitlines()) == len(plain.splitlines())

    def kinds(page):
        return [re.sub(r"[^|]+", "x", line) if line.startswith("|") else re.match(r"(#+ |- |\*\*)?", line).group() for line in page.splitlines()]
    assert kinds(shown) == kinds(plain)
    assert not set("<>`$\\!~") & set(shown) and not set("\x1b\u202e\x00\u200b\x9b\r") & set(shown)
    assert shown.count("**") == 2 and not re.search(r"\]\(|\[\[", shown)
