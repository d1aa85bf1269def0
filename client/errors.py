"""The error that a person caused and can correct."""


class UsageError(Exception):
    """One line that says what is wrong and what to do about it; the command prints it and exits with 2."""
