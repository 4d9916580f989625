"""One QLoRA training on a CPU by several programs: the same model, data, tokens, adapter and optimizer steps for all.

    python -m benchmarks.cpu_step            (all of it, for hours; see `__main__.py` for the parts)

`peers.py` and `ours.py` train, each contender in a process of its own; `rounds.py` alternates them; `page.py` writes.
"""
