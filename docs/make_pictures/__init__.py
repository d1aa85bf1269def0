"""Strips of frames for the documents, from the real paths."""
