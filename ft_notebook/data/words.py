"""What one word of a text is, for what compares texts by their words. Patterns, to be compiled or added to."""

UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
"""Scripts without spaces between words, as part of a class of characters: each of them counts as a word."""
WORD = rf"[{UNSPACED}]|[^\W{UNSPACED}]+"
