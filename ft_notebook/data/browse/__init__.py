"""Rows behind a table: sorted, filtered, edited, in DuckDB."""
