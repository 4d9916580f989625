"""The run store: durable files, run folders, event logs and checkpoints on local disk."""
