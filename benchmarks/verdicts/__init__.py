"""Verdicts on runs whose answer is known beforehand: small real models, trained, tuned and evaluated."""
