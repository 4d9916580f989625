"""The loss of a language model's head, without logits for all tokens at once."""
