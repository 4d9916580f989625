"""Answers and likelihoods of a model: greedy, side by side, each made once."""
