"""Prompts made of training examples: few-shot, retrieved."""
