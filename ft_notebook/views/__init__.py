"""What a run's log amounts to, for all that show a run: notebook, server, terminal. Never imports torch."""
