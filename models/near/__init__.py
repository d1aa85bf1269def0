"""The near-voice network: whether the caller speaks, or only the room."""
