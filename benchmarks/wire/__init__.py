"""Measure calls over bad links, with lipline and with plain aiortc: `python -m benchmarks.wire.matrix`."""
