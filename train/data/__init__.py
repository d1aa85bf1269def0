"""Prepared clips: shards on disk, read as clips, drawn from as batches."""
