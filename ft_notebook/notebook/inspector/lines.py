"""What the page of an inspector is told of findings, charts and tokens: words in which nothing hides, and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ft_notebook.data.browse.columns import cell_text
from ft_notebook.data.checks.finding import counted
from ft_notebook.views.text import visible

Message = dict[str, Any]


def numbered(findings: Sequence[Mapping[str, Any]]) -> dict[int, Mapping[str, Any]]:
    """Findings by the numbers that they carry, else by their places; in the given order."""
    return {finding.get("finding", place): finding for place, finding in enumerate(findings)}


def chart_lines(chart: Mapping[str, Any]) -> Message:
    """What the page is told of a chart: words in which nothing hides, and numbers."""
    return {"title": visible(chart["title"]), "bars": [[visible(name), count] for name, count in chart["bars"]],
            "edges": list(chart.get("edges", ())), "limit": chart.get("limit"), "more": chart.get("more", 0),
            "words": visible(chart.get("words", ""))}


def finding_line(number: int, finding: Mapping[str, Any]) -> Message:
    """What the page is told of a finding: words and a count, not its rows."""
    fix = finding.get("fix")
    return {"finding": number, "severity": finding["severity"], "check": visible(finding["check"]),
            "message": visible(finding["message"]), "explanation": visible(finding["explanation"]),
            "rows": counted(len(finding["row_ids"]), "row") if finding["row_ids"] else "",
            "fix": visible(fix["label"]) if fix else None}


def token_line(token: Mapping[str, Any]) -> Message:
    """What the page is told of a token."""
    return {"text": cell_text(token["text"]), "is_trained": bool(token["is_trained"]),
            "is_special": bool(token["is_special"]), "is_kept": bool(token.get("is_kept", True))}
