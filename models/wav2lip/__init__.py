"""Wav2Lip's networks, with the layout of the published checkpoints."""
