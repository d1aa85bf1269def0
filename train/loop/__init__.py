"""The loop that every trainer runs: steps, evaluations, checkpoints, on one machine or many."""
