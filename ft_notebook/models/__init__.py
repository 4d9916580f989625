"""Models: names to folders, folders to loaded models, and which of their parameters train."""
