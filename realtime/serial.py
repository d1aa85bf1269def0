"""Numbers that wrap, compared by their distance: RTP sequence numbers and timestamps, as in RFC 1982. Pure."""


def unwrap(value: int, near: int, bits: int) -> int:
    """Return the integer closest to `near` whose low `bits` bits are those of `value`.

    Args:
        value: a serial number; only its low `bits` bits count.
        near: an unwrapped number, for example the highest one seen so far.
        bits: width of the serial number, 16 for RTP sequence numbers and 32 for RTP timestamps.

    Returns:
        An integer from `near` - 2 ** (bits - 1) to `near` + 2 ** (bits - 1) - 1; it may be negative.
    """
    half = 1 << bits - 1
    # RFC 1982 leaves the order of two numbers half the range apart open; here such a number comes before `near`.
    return near + (value - near + half) % (2 * half) - half
