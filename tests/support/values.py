"""What several tests take for granted."""

from typing import TypeVar

T = TypeVar("T")


def not_none(value: T | None) -> T:
    """Return `value`; fail the test where it is None."""
    assert value is not None
    return value
