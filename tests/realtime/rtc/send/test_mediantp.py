"""Wall-clock time of media: what is late counts for nothing, and all streams share one mapping."""

import pytest

from realtime.rtc.send.mediantp import MediaNtp


def test_the_quickest_piece_of_media_says_what_time_it_is() -> None:
    clock = MediaNtp()
    assert clock.unix_ms(0.0, 0.0, 1e12) is None
    for i in range(100):
        clock.note(20.0 * i, 500.0 + 20.0 * i + (7 * i) % 30)
    assert clock.unix_ms(1000.0, 9_000.0, 1e12) == pytest.approx(1e12 - 9_000.0 + 1500.0, abs=1.0)


def test_a_slow_media_clock_is_followed_and_a_stall_hardly() -> None:
    clock = MediaNtp()
    for i in range(30_000):
        late = 300.0 if i % 1000 == 999 else 0.0
        clock.note(20.0 * i * (1.0 - 300e-6), 20.0 * i + late)
    now_ms = 20.0 * 30_000
    found = clock.unix_ms(now_ms * (1.0 - 300e-6), now_ms, 0.0)
    assert found == pytest.approx(0.0, abs=1.0)
