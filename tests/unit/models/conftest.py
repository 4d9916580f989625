"""The tests of kernels share `plain_kernels.py` with those of the worker."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2])]
