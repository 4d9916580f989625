"""What writes docs/results/. Not part of the package."""
