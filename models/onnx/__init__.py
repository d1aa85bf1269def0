"""ONNX files: what must be in them, how they are written and proved, and the checkpoints they come from."""
