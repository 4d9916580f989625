"""The operators of a transformer's training step on a CPU, in plain torch, which keep little for the backward pass.

Every operator takes the tokens of a batch as rows [T, ...] without padding. Frozen weights get no gradient.
"""
