"""Training: the worker process, and the supervisor that starts it and never imports it."""
