"""The evaluation dashboard: its view, its figures, the card that stays."""
