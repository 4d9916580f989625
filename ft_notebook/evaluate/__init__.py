"""Whether tuning was worth it: base against tuned on the same held-out examples."""
