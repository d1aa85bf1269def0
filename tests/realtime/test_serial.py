"""Serial numbers of 16 and 32 bits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.serial import unwrap

BITS = st.sampled_from([16, 32])


@given(BITS, st.integers(-(1 << 40), 1 << 40), st.data())
def test_a_number_within_half_the_range_is_found_again(bits: int, near: int, data: st.DataObject) -> None:
    half = 1 << bits - 1
    number = near + data.draw(st.integers(-half, half - 1))
    assert unwrap(number % (1 << bits), near, bits) == number


@given(BITS, st.integers(0, (1 << 40) - 1), st.integers(-(1 << 40), 1 << 40))
def test_only_the_low_bits_of_the_value_count(bits: int, value: int, near: int) -> None:
    assert unwrap(value, near, bits) == unwrap(value % (1 << bits), near, bits)


@pytest.mark.parametrize(
    "value, near, bits, expected",
    [
        (0, 65_535, 16, 65_536),
        (65_535, 65_536, 16, 65_535),
        (65_535, 0, 16, -1),
        (5, (1 << 32) - 960, 32, (1 << 32) + 5),
        (7, 7, 32, 7),
    ],
)
def test_numbers_are_followed_over_the_wrap_in_both_directions(value: int, near: int, bits: int, expected: int) -> None:
    assert unwrap(value, near, bits) == expected


def test_a_number_half_the_range_away_counts_as_earlier() -> None:
    assert unwrap(32_768, 0, 16) == -32_768
