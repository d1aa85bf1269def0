"""Corpora, the rendered head, and the trainer of the lightweight generator and its expert."""
