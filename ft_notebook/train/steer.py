"""What a user may ask of a run, wherever it is asked: a notebook, its buttons, the server, the command line."""
