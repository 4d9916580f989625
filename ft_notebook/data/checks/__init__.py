"""Checks of a data set, one file a check; each is a plugin. See `finding.py` for what they say."""
