"""Rows out of files, frames, hubs and samples."""
