"""Ears: a small network that hears any voice, as a stream; distilled from the encoder of Whisper tiny.en."""
