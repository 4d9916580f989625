"""Conversations: the chat template, its loss mask, their tokens."""
