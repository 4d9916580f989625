"""`python -m ft_notebook`: the command line."""

import sys

from ft_notebook.cli import main

sys.exit(main())
