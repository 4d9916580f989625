"""An evaluation in words, tables and Markdown."""
