"""Networks and what defines their contract: mel, alignment, landmarks, checkpoints, ONNX and its runtime."""
