"""The family's colours: Okabe-Ito, told apart by dashes and marks besides. `card.css` repeats them for pages.

The plain names are what a picture is drawn in: it knows nothing of the page that it will stand on, so each is
legible on white and on black. `LIGHT` and `DARK` are the same series on a page whose lightness is known.
"""

from __future__ import annotations

TRAIN = "#0072B2"
HELD_OUT = "#D55E00"
BEST = "#009E73"
NORM = "#A8518A"
CUT = "#C44536"             # marks a value off the scale
NEUTRAL = "#808080"         # words, axes and ticks

LIGHT = {"--ftn-s1": "#0072B2", "--ftn-s2": "#D55E00", "--ftn-s3": "#009E73", "--ftn-s4": "#a8518a"}
DARK = {"--ftn-s1": "#56B4E9", "--ftn-s2": "#E69F00", "--ftn-s3": "#2bc79a", "--ftn-s4": "#e39bc4"}

RUNS = ("#0072B2", "#D55E00", "#009E73", "#A8518A", "#B07D00", "#3A87C8", "#808080")
"""Runs beside each other, in turn."""
MARKS = ("square", "circle", "triangle", "diamond", "cross")
"""What tells them apart without colour, in turn: 35 runs go by before a pair of colour and mark comes again."""
