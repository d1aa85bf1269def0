"""Lite, the bundled generator: it moves the pixels of the caller instead of painting a mouth."""
