"""Versions of a data set, and the steps from one to the next."""
