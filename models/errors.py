"""What goes wrong with model files, said so that a person can mend it."""


class ModelError(ValueError):
    """Say in one line why a model file cannot be used and what to do about it."""


class CheckpointError(ModelError):
    """Say in one line why a PyTorch checkpoint cannot be read or converted and what to do about it."""
