"""People judge rows, and pairs of answers."""
