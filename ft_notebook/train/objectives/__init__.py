"""What of an example is trained: one file an objective."""
