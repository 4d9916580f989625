"""A linear layer with a 4-bit weight and a LoRA part, forward and backward; several that share their input at once."""
