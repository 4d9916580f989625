"""Runs the crash and resume tests in full and writes what they saw to docs/results/soak.md.

    python benchmarks/soak.py            (or `make soak`; takes half an hour on two cores)
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SAID = re.compile(r"^(?:soak: )(.*)$", re.M)


def main() -> int:
    """Run the tests with their full counts; the page is written whether they pass or not."""
    started = time.time()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-m", "soak", "-rA", "-q", "-s", "-p", "no:cacheprovider", "tests/crash"],
        cwd=ROOT, env={**os.environ, "FT_SOAK": "1"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False,
    )
    print(done.stdout)
    (ROOT / "docs" / "results" / "soak.md").write_text(page(done.stdout, time.time() - started), encoding="utf-8")
    return done.returncode


def page(output: str, seconds: float) -> str:
    """What the tests said and how they ended, as a page."""
    lines = [
        "# Kills and cuts",
        "",
        f"Made by `make soak` on {platform.machine()}, 2 cores, Python {platform.python_version()}, no GPU; "
        f"{seconds / 60:.0f} minutes. The model is a 2-layer Llama with random weights, trained by the "
        "real worker process: QLoRA with dropout, gradient accumulation, several epochs.",
        "",
        *(f"- {line}" for line in SAID.findall(output)),
        "",
        f"Tests: {output.strip().splitlines()[-1].strip('= ')}",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
