import pytest

from realtime.rtc.receive.sourceclock import SourceClock

WRAP = 1 << 32


def test_packets_of_the_old_connection_keep_its_time() -> None:
    clock = SourceClock()
    old = clock.begin(lambda timestamp: 1000.0 + timestamp / 48.0)
    old(0)
    old(9600)
    assert clock.ms(9600) == 1200.0
    new = clock.begin(lambda timestamp: timestamp / 48.0 - 5e6)
    assert clock.ms(9600) == 1200.0, "the new connection has brought nothing yet"
    new(4_000_000_000)
    assert clock.ms(9600) == 1200.0
    assert clock.ms(4_000_000_000) == pytest.approx(4_000_000_000 / 48.0 - 5e6)


def test_nearness_goes_over_the_wrap_and_the_newest_wins() -> None:
    clock = SourceClock()
    first = clock.begin(lambda timestamp: 1.0)
    first(WRAP - 960)
    assert clock.ms(0) == 1.0
    second = clock.begin(lambda timestamp: 2.0)
    second(960)
    assert clock.ms(0) == 2.0, "where both fit it is the newer one"
    third = clock.begin(lambda timestamp: 3.0)
    third(2_000_000_000)
    assert clock.ms(0) == 2.0, "two connections are known"
    assert clock.ms(3_000_000_000) == 3.0, "what fits none is taken for the newest one's"


def test_without_a_packet_there_is_no_time() -> None:
    clock = SourceClock()
    clock.begin(lambda timestamp: 1.0)
    with pytest.raises(LookupError):
        clock.ms(0)
