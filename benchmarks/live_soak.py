"""Reloads and kernel restarts in mid-run, in full, and the time to the first curve; writes docs/results/live_soak.md.

    python benchmarks/live_soak.py            (part of `make soak`; takes about ten minutes on two cores)
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time

from soak import ROOT, SAID

TESTS = ["tests/e2e/test_live_in_lab.py", "tests/e2e/test_first_curve.py"]


def main() -> int:
    """Run the tests with their full counts; the page is written whether they pass or not."""
    started = time.time()
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "--timeout", "3600", *TESTS],
        cwd=ROOT, env={**environment, "FT_SOAK": "1"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False,
    )
    print(done.stdout)
    lines = [
        "# The live view, used hard",
        "",
        f"Made by `python benchmarks/live_soak.py` (part of `make soak`) on {platform.machine()}, {os.cpu_count()} "
        f"cores, Python {platform.python_version()}, no GPU; {(time.time() - started) / 60:.0f} minutes. A real "
        "JupyterLab in Chromium; reloads and restarts with a tiny model that the real worker trains, the first curve "
        "with the embedded model, already converted.",
        "",
        *(f"- {line}" for line in SAID.findall(done.stdout)),
        "",
        f"Tests: {done.stdout.strip().splitlines()[-1].strip('= ')}",
    ]
    (ROOT / "docs" / "results" / "live_soak.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
