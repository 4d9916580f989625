"""The tests of checks share `subjects.py`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
