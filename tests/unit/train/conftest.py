"""The tests of the worker share `small_runs.py`, and with the crash tests `runs.py`."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "crash")]
