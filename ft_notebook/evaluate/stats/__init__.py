"""Intervals, tests and how many examples it takes: statistics on figures of examples."""
