"""Measure generators on prepared clips: `lipline evaluate`. How and why: docs/design/evaluation.md."""
