"""What is asked of a model besides the rows: general questions, drift, hard inputs, lm-eval tasks."""
