"""The notebook's side of a run: magics, the run object, progress and cards. Never imports torch."""
