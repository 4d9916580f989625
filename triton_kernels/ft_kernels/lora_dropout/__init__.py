"""Dropout that is a function of a seed: drawn again in the backward pass, so that no mask is kept."""
