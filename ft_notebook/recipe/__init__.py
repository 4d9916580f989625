"""The recipe: what a run is told to do.

`schema` says what may be said, `parse` reads it from YAML or keywords, `export` writes it back,
`document` and `complete` help while it is written. Imports no torch and touches no disk.
"""
