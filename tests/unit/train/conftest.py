"""The tests of the worker share `small_runs.py`, `runs.py` with the crash tests and `plain_kernels.py` with the models'."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "crash"), str(HERE.parents[1])]
