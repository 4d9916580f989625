"""How long 100 answers take: one row at a time, in padded batches, and as a run's evaluation makes them."""
