"""One file a metric; `evaluate/builtin.py` registers them."""
