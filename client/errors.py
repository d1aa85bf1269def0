"""The error that a person caused and can mend."""


class UsageError(Exception):
    """Say in one line what is wrong and what to do about it; the command prints it and exits with 2."""
