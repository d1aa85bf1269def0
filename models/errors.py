"""What goes wrong with model files, said so that a person can correct it."""


class ModelError(ValueError):
    """One line on why a model file cannot be used and what to do about it."""


class CheckpointError(ModelError):
    """One line on why a PyTorch checkpoint cannot be read or converted and what to do about it."""
