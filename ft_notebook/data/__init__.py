"""From rows to examples: sources, formats, the split, and tokens with their loss mask."""
